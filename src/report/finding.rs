//! placeholder until the finding reports are merged
use crate::finding::Finding;
use std::path::{Path, PathBuf};
/// title
pub fn title(f: &Finding) -> String {
    format!("{}  {} -> {}", f.shape, f.filter_text(), f.divergence.actual)
}
/// write
pub fn write(dir: &Path, f: &Finding) -> Result<PathBuf, std::io::Error> {
    let d = dir.join(format!("{:x}", f.shape.len() * 31 + f.seconds_to_first as usize));
    std::fs::create_dir_all(&d)?;
    std::fs::write(d.join("case.json"), f.case.to_json(None))?;
    Ok(d)
}
