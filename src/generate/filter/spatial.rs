//! Predicates on GEOMETRY columns.

use super::site::Site;
use super::term::Terms;
use crate::filter::grammar::Construct;
use crate::filter::{Expr, Function, Literal};
use crate::generate::boundary;
use crate::value::Geometry;

/// Shapes that rows meet in every way: around, inside, along an edge, at a corner, not at all.
const SHAPES: [&str; 8] = [
    "POLYGON ((-200 -100, 200 -100, 200 100, -200 100, -200 -100))",
    "POLYGON ((1 1, 2 1, 2 2, 1 2, 1 1))",
    "POLYGON ((2 2, 6 2, 6 6, 2 6, 2 2))",
    "POLYGON ((4 0, 8 0, 8 4, 4 4, 4 0))",
    "POINT (4 2)",
    "POINT (4 4)",
    "POINT (2 1)",
    "POINT (50 50)",
];

impl Terms<'_> {
    /// An `st_` function on a GEOMETRY column.
    pub(super) fn spatial(&mut self, construct: Construct, site: &Site) -> Expr {
        let function = match construct {
            Construct::SpatialContains => Function::StContains,
            Construct::SpatialWithin => Function::StWithin,
            Construct::SpatialIntersects => Function::StIntersects,
            Construct::SpatialEquals => Function::StEquals,
            Construct::SpatialDistance => Function::StDwithin,
            Construct::SpatialValid => Function::StIsvalid,
            _ => {
                let functions = [Function::StTouches, Function::StOverlaps, Function::StCrosses];
                self.chance.one_of(functions)
            }
        };
        let mut arguments = Vec::new();
        if function != Function::StIsvalid {
            arguments.push(Literal::Text(self.shape(site, function == Function::StDwithin)));
        }
        if function == Function::StDwithin {
            arguments.push(match self.chance.below(4) {
                0 => Literal::Float(0.5),
                _ => {
                    Literal::Int(self.chance.one_of([0, 10, 1000, 100_000, 5_000_000, 30_000_000]))
                }
            });
        }
        Expr::Call { function, operand: site.path.clone(), arguments }
    }

    fn shape(&mut self, site: &Site, point: bool) -> String {
        for _ in 0..8 {
            let text = match (self.chance.below(4), self.chance.pick(&site.values)) {
                (0 | 1, Some(Literal::Text(text))) => text.clone(),
                (2, _) => self.chance.one_of(boundary::GEOMETRIES).to_owned(),
                _ => self.chance.one_of(SHAPES).to_owned(),
            };
            if !point || matches!(Geometry::parse(&text), Some(Geometry::Point(_))) {
                return text;
            }
        }
        "POINT (0 0)".to_owned()
    }
}
