//! The `st_` functions, as far as the documentation defines their answers: the relations of OGC
//! Simple Features (DE-9IM) in the plane, and distances in metres between points.

use geo::{Coord, HaversineMeasure, LineString, Point, Polygon, Relate, Validation};
use geo::{Distance, Intersects};

use super::ast::Literal;
use super::operator::Function;
use super::semantics::{Semantics, Switch};
use crate::value::Geometry;

/// How far apart two readings of a distance may be: the sphere or the ellipsoid, and either radius.
const MARGIN: f64 = 0.02;

/// Coordinates beyond these are no longitudes and latitudes.
const LONGITUDE: f64 = 180.0;
const LATITUDE: f64 = 90.0;

/// Whether the function holds of a value, which is well-known text; `None` where that is open:
/// beside a polygon that is invalid, of distances to polygons and of those near the bound, and
/// where a corner lies so near an edge that rounding decides.
pub(super) fn holds(
    function: Function,
    value: &str,
    arguments: &[Literal],
    semantics: Semantics,
) -> Option<bool> {
    let value = shape(value)?;
    if function == Function::StIsvalid {
        // Of what is a valid geometry by every reading.
        return is_valid(&value).then_some(true);
    }
    let Some(Literal::Text(text)) = arguments.first() else { return None };
    let other = shape(text)?;
    if function == Function::StDwithin {
        let within = match arguments.get(1)? {
            Literal::Int(i) => *i as f64,
            Literal::Float(x) => *x,
            _ => return None,
        };
        return match semantics.has(Switch::SpatialDistanceIsPlanar) {
            true => Some(geo::Euclidean.distance(&value, &other) <= within),
            false => is_within(&value, &other, within),
        };
    }
    if !is_valid(&value) || !is_valid(&other) || is_near(&value, &other) {
        return None;
    }
    let relation = value.relate(&other);
    let boundary = semantics.has(Switch::SpatialBoundaryIsInside);
    Some(match function {
        Function::StEquals => relation.is_equal_topo(),
        Function::StContains if boundary => relation.is_covers(),
        Function::StWithin if boundary => relation.is_coveredby(),
        Function::StContains => relation.is_contains(),
        Function::StWithin => relation.is_within(),
        Function::StIntersects => relation.is_intersects(),
        Function::StTouches => relation.is_touches(),
        Function::StOverlaps => relation.is_overlaps(),
        Function::StCrosses => relation.is_crosses(),
        _ => return None,
    })
}

fn shape(text: &str) -> Option<geo::Geometry> {
    let ring = |points: &Vec<[f64; 2]>| {
        LineString::new(points.iter().map(|[x, y]| Coord { x: *x, y: *y }).collect())
    };
    match Geometry::parse(text)? {
        Geometry::Point([x, y]) => Some(Point::new(x, y).into()),
        Geometry::Polygon(rings) => match rings.as_slice() {
            [outer] => Some(Polygon::new(ring(outer), Vec::new()).into()),
            // Not every engine takes holes, and rows have none.
            _ => None,
        },
    }
}

/// Whether a polygon's boundary is a simple ring around an area.
fn is_valid(shape: &geo::Geometry) -> bool {
    shape.is_valid()
}

/// Whether a corner of one is within rounding of the other's boundary, but not a corner of it nor
/// exactly on it.
fn is_near(a: &geo::Geometry, b: &geo::Geometry) -> bool {
    let near = |a: &geo::Geometry, b: &geo::Geometry| {
        use geo::CoordsIter;
        let geo::Geometry::Polygon(polygon) = b else { return false };
        let largest = a.coords_iter().chain(b.coords_iter());
        let scale = largest.map(|c| c.x.abs().max(c.y.abs())).fold(1.0, f64::max);
        a.coords_iter().any(|corner| {
            let point = Point::from(corner);
            polygon.exterior().lines().any(|edge| {
                let distance = geo::Euclidean.distance(&point, &edge);
                distance < 1e-6 * scale && !edge.intersects(&point)
            })
        })
    };
    near(a, b) || near(b, a)
}

/// Whether two points are within so many metres on the globe; `None` for others, and if the
/// distance is too near to that.
fn is_within(a: &geo::Geometry, b: &geo::Geometry, within: f64) -> Option<bool> {
    let (geo::Geometry::Point(a), geo::Geometry::Point(b)) = (a, b) else { return None };
    if a == b {
        return Some(true);
    }
    let on_globe = |p: &Point| p.x().abs() <= LONGITUDE && p.y().abs() <= LATITUDE;
    if !on_globe(a) || !on_globe(b) {
        return None;
    }
    let distance = HaversineMeasure::GRS80_MEAN_RADIUS.distance(*a, *b);
    let (least, most) = (distance * (1.0 - MARGIN) - 1.0, distance * (1.0 + MARGIN) + 1.0);
    if most < within {
        Some(true)
    } else if least > within {
        Some(false)
    } else {
        None
    }
}
