//! A bound on what is held in memory by all exchanges of a VM together.

use std::cell::Cell;
use std::rc::Rc;

/// Bytes that may be taken.
#[derive(Debug, Clone)]
pub struct Budget(Rc<Cell<u64>>);

/// Bytes that were taken. They return when this is dropped.
#[derive(Debug)]
pub struct Taken {
    budget: Budget,
    bytes: u64,
}

impl Budget {
    /// A budget of that many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    /// Takes bytes. None if so many are not left.
    pub fn take(&self, bytes: u64) -> Option<Taken> {
        self.0.set(self.0.get().checked_sub(bytes)?);
        Some(Taken { budget: self.clone(), bytes })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let left = &self.budget.0;
        left.set(left.get() + self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_returns() {
        let budget = Budget::new(10);
        let six = budget.take(6).unwrap();
        assert!(budget.take(5).is_none());
        let four = budget.take(4).unwrap();
        assert!(budget.take(1).is_none());
        drop(six);
        assert!(budget.take(7).is_none());
        drop(four);
        assert!(budget.take(10).is_some());
    }
}
