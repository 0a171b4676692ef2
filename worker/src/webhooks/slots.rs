//! Bounds of what is under way: in all, and of one owner, so that nobody's slow receiver holds up the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tries under way at once.
const ALL: u32 = 64;
/// Tries of one owner's messages at once.
const OF_ONE_OWNER: u32 = 8;

/// PageSlots for tries.
#[derive(Debug, Clone, Default)]
pub(super) struct PageSlots {
    taken: Arc<Mutex<HashMap<String, u32>>>,
}

/// A place, free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    slots: PageSlots,
    owner: String,
}

impl PageSlots {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a message of `owner`, if there is one.
    pub(super) fn take(&self, owner: &str) -> Option<Place> {
        let mut taken = self.lock();
        let own = taken.get(owner).copied().unwrap_or(0);
        if taken.values().sum::<u32>() >= ALL || own >= OF_ONE_OWNER {
            return None;
        }
        taken.insert(owner.to_owned(), own + 1);
        Some(Place { slots: self.clone(), owner: owner.to_owned() })
    }

    /// How many are free.
    pub(super) fn free(&self) -> u32 {
        ALL - self.lock().values().sum::<u32>()
    }

    pub(super) fn half_are_free(&self) -> bool {
        self.free() >= ALL / 2
    }

    /// The owners who have all that one may have.
    pub(super) fn crowded(&self) -> Vec<String> {
        let taken = self.lock();
        taken.iter().filter(|(_, own)| **own >= OF_ONE_OWNER).map(|(owner, _)| owner.clone()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        if let Some(own) = taken.get_mut(&self.owner) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_leaves_slots_to_others() {
        let slots = PageSlots::default();
        let of_a: Vec<Place> = std::iter::from_fn(|| slots.take("a")).collect();
        assert_eq!((of_a.len(), slots.free(), slots.crowded()), (8, 56, vec!["a".to_owned()]));
        let others: Vec<Place> = (0..100).filter_map(|number| slots.take(&format!("b{number}"))).collect();
        assert_eq!((others.len(), slots.free(), slots.half_are_free()), (56, 0, false));
        drop(of_a);
        assert_eq!((slots.free(), slots.crowded()), (8, Vec::new()));
        drop(others);
        assert!(slots.half_are_free() && slots.lock().is_empty());
    }
}
