//! No text makes the parser panic, hang or overflow, and what it has read it reads again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milvus_difftest_fuzz::filter::Filter;

fuzz_target!(|text: &str| {
    match Filter::parse(text) {
        Ok(filter) => {
            let printed = filter.to_string();
            assert_eq!(Filter::parse(&printed), Ok(filter.normalised()), "{printed}");
        }
        Err(error) => assert!(error.render(text).contains(&error.reason)),
    }
});
