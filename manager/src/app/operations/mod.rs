//! Operations: planned, stored, carried out, cancelled and resumed.

/// The operations in hand.
#[derive(Default)]
pub struct Operations {}
