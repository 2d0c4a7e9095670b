//! The side a machine comes to: what it does next, without input or output.

/// Where the destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Nobody has said yet which machine comes.
    Waiting,
    /// Memory comes.
    Receiving,
    /// All has come; the machine is built from it and checked.
    Loading,
    /// The machine is ready and waits to be handed over.
    Prepared,
    /// The machine runs here.
    Running,
    /// It does not run here and never will.
    Failed,
}

/// What happened to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetInput {
    /// A machine like the one here comes.
    Compatible,
    /// All memory and the state have come.
    Complete,
    /// The machine was built from it.
    Loaded,
    /// What came cannot be, or no machine can be built from it.
    Invalid,
    /// The source has handed the machine over.
    Go,
    /// The source keeps the machine.
    Cancelled,
    /// The connection failed, or nobody spoke in time.
    Lost,
}

/// What the destination does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetAction {
    /// Hear which machine comes. Every arrival begins so.
    Hear,
    /// Say that it may come, and take its memory.
    Accept,
    /// Build the machine.
    Load,
    /// Say that it is ready, and wait for the word.
    SayReady,
    /// Say so and run it: even if that cannot be said any more, since the source will not.
    Run,
    /// Say why not, and end.
    Refuse,
    /// End.
    Leave,
    /// Nothing changes any more.
    Nothing,
}

impl Target {
    /// The transition function: what happens in this state leads to another one and to what is done there.
    #[must_use]
    pub fn step(self, input: TargetInput) -> (Self, TargetAction) {
        use TargetAction as Do;
        use TargetInput as On;
        match (self, input) {
            (Self::Waiting, On::Compatible) => (Self::Receiving, Do::Accept),
            (Self::Receiving, On::Complete) => (Self::Loading, Do::Load),
            (Self::Loading, On::Loaded) => (Self::Prepared, Do::SayReady),
            // Nothing else than this word of the source lets the machine run here.
            (Self::Prepared, On::Go) => (Self::Running, Do::Run),
            (Self::Running | Self::Failed, _) => (self, Do::Nothing),
            (_, On::Cancelled | On::Lost) => (Self::Failed, Do::Leave),
            (_, _) => (Self::Failed, Do::Refuse),
        }
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Running | Self::Failed)
    }
}
