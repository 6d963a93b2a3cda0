//! Templates: `{name}` in a filter, with the value sent beside it.

use std::collections::BTreeMap;

use super::ast::{Expr, Literal};

/// Values that do not fit the templates of a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// A template has no value.
    #[error("the template {{{0}}} has no value; give it one")]
    Unbound(String),
    /// A template stands for the list after `in`, and its value is something else.
    #[error("the template {{{0}}} stands for a list after `in`, and its value is none")]
    NotAList(String),
    /// Only booleans, numbers, strings and lists of them can be sent.
    #[error(
        "the value of the template {{{0}}} cannot be sent; only booleans, numbers, strings and lists of them can"
    )]
    NotAValue(String),
}

impl Expr {
    /// The filter with every template replaced by its value; after `in`, by a whole list. Values
    /// that no template names are left alone.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use milvus_difftest::filter::{Literal, parse};
    /// let filter = parse("age > {age} and city in {cities}").unwrap();
    /// let cities = ["Rome", "Paris"].map(|city| Literal::Text(city.to_owned()));
    /// let values = BTreeMap::from([
    ///     ("age".to_owned(), Literal::Int(25)),
    ///     ("cities".to_owned(), Literal::List(cities.to_vec())),
    /// ]);
    /// let bound = filter.bind(&values).unwrap();
    /// assert_eq!(bound.to_string(), "(age > 25) and (city in [\"Rome\", \"Paris\"])");
    /// ```
    pub fn bind(&self, values: &BTreeMap<String, Literal>) -> Result<Expr, BindError> {
        let mut bound = self.clone();
        bound.bind_lists(values)?;
        let mut error = None;
        bound.for_each_literal_mut(&mut |literal| {
            if let Literal::Template(name) = literal {
                match value(name, values) {
                    Ok(value) => *literal = value.clone(),
                    Err(wrong) => error = error.take().or(Some(wrong)),
                }
            }
        });
        error.map_or(Ok(bound), Err)
    }

    /// The filter with templates in the places of its constants, and their values: what
    /// [`bind`](Self::bind) undoes. Taken are constants that a comparison stands next to, and lists
    /// after `in` of one type; `None` if there is none.
    ///
    /// ```
    /// use milvus_difftest::filter::parse;
    /// let filter = parse("age > 25 and city in [\"Rome\"] and name like \"a%\"").unwrap();
    /// let (templates, values) = filter.parametrized().unwrap();
    /// assert_eq!(
    ///     templates.to_string(),
    ///     "((age > {v0}) and (city in {v1})) and (name like \"a%\")"
    /// );
    /// assert_eq!(templates.bind(&values).unwrap(), filter);
    /// ```
    pub fn parametrized(&self) -> Option<(Expr, BTreeMap<String, Literal>)> {
        let (mut filter, mut values) = (self.clone(), BTreeMap::new());
        filter.take_constants(&mut values);
        (!values.is_empty()).then_some((filter, values))
    }

    fn take_constants(&mut self, values: &mut BTreeMap<String, Literal>) {
        let mut take = |value: Literal| {
            let name = format!("v{}", values.len());
            values.insert(name.clone(), value);
            Literal::Template(name)
        };
        match self {
            Expr::Binary { op, left, right } if op.is_comparison() => {
                for side in [left, right] {
                    if let Expr::Literal(literal) = &mut **side
                        && is_scalar(literal)
                    {
                        *literal = take(literal.clone());
                    }
                }
            }
            Expr::In { list, .. } if is_of_one_type(list) => {
                *list = vec![take(Literal::List(std::mem::take(list)))];
            }
            _ => {}
        }
        for child in self.children_mut() {
            child.take_constants(values);
        }
    }

    fn bind_lists(&mut self, values: &BTreeMap<String, Literal>) -> Result<(), BindError> {
        if let Expr::In { list, .. } = self
            && let [Literal::Template(name)] = list.as_slice()
        {
            match value(name, values)? {
                Literal::List(items) => *list = items.clone(),
                _ => return Err(BindError::NotAList(name.clone())),
            }
        }
        self.children_mut().into_iter().try_for_each(|child| child.bind_lists(values))
    }
}

fn value<'a>(name: &str, values: &'a BTreeMap<String, Literal>) -> Result<&'a Literal, BindError> {
    match values.get(name) {
        None => Err(BindError::Unbound(name.to_owned())),
        Some(value) if is_value(value) => Ok(value),
        Some(_) => Err(BindError::NotAValue(name.to_owned())),
    }
}

fn is_value(literal: &Literal) -> bool {
    match literal {
        Literal::Bool(_) | Literal::Int(_) | Literal::Float(_) | Literal::Text(_) => true,
        Literal::List(items) => items.iter().all(is_value),
        Literal::Timestamp(_) | Literal::Interval(_) | Literal::Template(_) => false,
    }
}

fn is_scalar(literal: &Literal) -> bool {
    is_value(literal) && !matches!(literal, Literal::List(_))
}

/// Whether a list can be sent: its elements are of one type on the wire.
fn is_of_one_type(list: &[Literal]) -> bool {
    let kind = |literal: &Literal| std::mem::discriminant(literal);
    let first = list.first().map(kind);
    list.iter().all(|literal| is_scalar(literal) && Some(kind(literal)) == first) && first.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn values_that_do_not_fit_are_named() {
        let name = |name: &str| name.to_owned();
        let filter = parse("1 < a < {x} and not (b in {y})").unwrap();
        let list = Literal::List(vec![Literal::Bool(true)]);
        let bind = |x: Literal, y: Literal| {
            filter.bind(&BTreeMap::from([
                (name("x"), x),
                (name("y"), y),
                (name("z"), list.clone()),
            ]))
        };
        let bound = bind(Literal::Int(2), list.clone()).unwrap();
        assert_eq!(bound.to_string(), "(1 < a < 2) and (not (b in [true]))");
        assert_eq!(bind(Literal::Int(2), Literal::Int(3)), Err(BindError::NotAList(name("y"))));
        assert_eq!(bind(Literal::Timestamp(0), list.clone()), Err(BindError::NotAValue(name("x"))));
        assert_eq!(filter.bind(&BTreeMap::new()), Err(BindError::Unbound(name("y"))));
        let empty = bind(Literal::Int(2), Literal::List(Vec::new())).unwrap();
        assert_eq!(empty.to_string(), "(1 < a < 2) and (not (b in []))");
    }
}
