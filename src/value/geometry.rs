//! Points and simple polygons in well-known text (OGC 06-103r4, chapter 7).

/// Coordinates, as text of any spelling writes them.
#[derive(Debug, Clone, PartialEq)]
pub enum Geometry {
    /// `POINT (x y)`.
    Point([f64; 2]),
    /// `POLYGON ((x y, x y, x y, x y), …)`: the outer ring, then holes; every ring is closed.
    Polygon(Vec<Vec<[f64; 2]>>),
}

impl Geometry {
    /// Reads well-known text; `None` if it is not a point or polygon with finite coordinates.
    ///
    /// ```
    /// use milvus_difftest::value::Geometry;
    /// assert_eq!(Geometry::parse("POINT (1 -2.50)"), Geometry::parse("point(1.0 -2.5)"));
    /// assert_eq!(Geometry::parse("POINT (1)"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Geometry> {
        let (name, rest) = text.split_once('(')?;
        let body = rest.trim_end().strip_suffix(')')?;
        match name.trim().to_ascii_uppercase().as_str() {
            "POINT" => pair(body).map(Geometry::Point),
            "POLYGON" => {
                let inner = body.trim().strip_prefix('(')?.strip_suffix(')')?;
                let rings = inner.split(')').enumerate().map(|(i, part)| {
                    if i == 0 {
                        return ring(part);
                    }
                    ring(part.trim_start().strip_prefix(',')?.trim_start().strip_prefix('(')?)
                });
                rings.collect::<Option<_>>().map(Geometry::Polygon)
            }
            _ => None,
        }
    }
}

fn ring(text: &str) -> Option<Vec<[f64; 2]>> {
    let points = text.split(',').map(pair).collect::<Option<Vec<_>>>()?;
    (points.len() >= 4 && points.first() == points.last()).then_some(points)
}

fn pair(text: &str) -> Option<[f64; 2]> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<f64>);
    let pair = [numbers.next()?.ok()?, numbers.next()?.ok()?];
    (numbers.next().is_none() && pair.iter().all(|x| x.is_finite())).then_some(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter_and_coordinates_do() {
        let same = |a: &str, b: &str| Geometry::parse(a).unwrap() == Geometry::parse(b).unwrap();
        let square = "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))";
        assert!(same(square, " Polygon((0 0,4.0 0,4 4,0 4e0,0 0)) "));
        assert!(!same(square, "POLYGON ((0 0, 4 0, 4 4.000001, 0 4, 0 0))"));
        let holed = "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))";
        assert!(same(holed, "POLYGON((0 0,4 0,4 4,0 0) , (1 1,2 1,2 2,1 1))"));
        for wrong in [
            "",
            "POINT",
            "POINT ()",
            "POINT (1 2",
            "POINT (1 2 3)",
            "POINT (1 inf)",
            "LINESTRING (0 0, 1 1)",
            "POLYGON (0 0, 1 0, 1 1, 0 0)",
            "POLYGON ((0 0, 1 0, 0 0))",
            "POLYGON ((0 0, 1 0, 1 1, 0 1))",
            "POLYGON ((0 0, 1 0, 1 1, 0 0) (1 1, 2 1, 2 2, 1 1))",
        ] {
            assert_eq!(Geometry::parse(wrong), None, "{wrong}");
        }
    }
}
