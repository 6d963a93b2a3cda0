//! Predicates on arrays of structs.

use super::site::Site;
use super::term::Terms;
use crate::filter::grammar::Construct;
use crate::filter::{BinaryOp, Elements, Expr};

impl<'a> Terms<'a> {
    /// A predicate on the elements of an array of structs: about one member, or about several.
    pub(super) fn elements(&mut self, construct: Construct, site: &Site) -> Option<Expr> {
        let array = &site.path.root;
        let own = |other: &&Site| other.array.as_ref() == Some(array);
        let members: Vec<&'a Site> = self.sites.iter().filter(own).collect();
        let mut predicate = self.about_member(&members)?;
        for _ in 0..self.chance.one_of([0, 0, 0, 1, 1, 2]) {
            let op = if self.chance.one_in(3) { BinaryOp::Or } else { BinaryOp::And };
            predicate = Expr::binary(predicate, op, self.about_member(&members)?);
        }
        if self.chance.one_in(6) {
            predicate = Expr::Not(Box::new(predicate));
        }
        let elements = self.how_many(construct);
        Some(Expr::Elements { elements, field: array.clone(), predicate: Box::new(predicate) })
    }

    /// A term on a member, asked of the array that it is in.
    pub(super) fn of_some_elements(&mut self, array: &str, term: Expr) -> Expr {
        // Of `element_filter` little is known, and it has places of its own.
        let [_, others @ ..] = Construct::ELEMENTS;
        let construct = self.chance.one_of(others);
        let elements = self.how_many(construct);
        Expr::Elements { elements, field: array.to_owned(), predicate: Box::new(term) }
    }

    fn about_member(&mut self, members: &[&'a Site]) -> Option<Expr> {
        for _ in 0..8 {
            let site = *self.chance.pick(members)?;
            let fits = |construct: &&Construct| construct.fits(Some(site.operand));
            let fitting: Vec<Construct> = Construct::ALL.iter().filter(fits).copied().collect();
            let construct = *self.chance.pick(&fitting)?;
            if let Some(term) = self.alone(construct, site) {
                return Some(term);
            }
        }
        None
    }

    /// Generated arrays have up to four elements.
    fn how_many(&mut self, construct: Construct) -> Elements {
        let threshold = self.chance.one_of([0, 1, 1, 2, 2, 3, 4]);
        match construct {
            Construct::ElementFilter => Elements::Filter,
            Construct::ElementAll => Elements::All,
            Construct::ElementLeast => Elements::Least(threshold.max(1)),
            Construct::ElementMost => Elements::Most(threshold),
            Construct::ElementExact => Elements::Exact(threshold),
            _ => Elements::Any,
        }
    }
}
