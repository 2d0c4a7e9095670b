//! The hand-over, explored: every order of events of both sides and of the connection between them, with all that can fail,
//! through the transition functions that the program uses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Source, SourceAction, SourceInput, Target, TargetAction, TargetInput};

/// What goes from the source to the destination. Memory says nothing about who has the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Forth {
    Hello,
    Complete,
    Go,
    Cancel,
}

/// What goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Back {
    Accept,
    Ready,
    Running,
    Refused,
}

/// Where the machine is at one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Machine {
    None,
    Runs,
    /// Held still; a person or the source itself can let it go on.
    Held,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    source: Option<Source>,
    /// What the source does now.
    doing: SourceAction,
    source_machine: Machine,
    target: Option<Target>,
    target_doing: TargetAction,
    target_machine: Machine,
    forth: VecDeque<Forth>,
    back: VecDeque<Back>,
    /// What was sent before may still arrive, nothing that is sent later.
    cut: bool,
    /// The side was ended from outside, whatever it was doing.
    source_killed: bool,
    target_killed: bool,
    /// The destination had been given the machine.
    target_had_it: bool,
    cancels: u8,
}

/// The transition functions, or variants that lack a check.
#[derive(Clone, Copy)]
struct Rules {
    source: fn(Source, SourceInput) -> (Source, SourceAction),
    target: fn(Target, TargetInput) -> (Target, TargetAction),
}

const REAL: Rules = Rules {
    source: Source::step,
    target: Target::step,
};

impl World {
    fn new() -> Self {
        Self {
            source: Some(Source::Greeting),
            doing: SourceAction::Greet,
            source_machine: Machine::Runs,
            target: Some(Target::Waiting),
            target_doing: TargetAction::Hear,
            target_machine: Machine::None,
            forth: [Forth::Hello].into(),
            back: VecDeque::new(),
            cut: false,
            source_killed: false,
            target_killed: false,
            target_had_it: false,
            cancels: 0,
        }
    }

    fn say(&mut self, word: Forth) {
        if !self.cut && self.target.is_some() {
            self.forth.push_back(word);
        }
    }

    fn answer(&mut self, word: Back) {
        if !self.cut && self.source.is_some() {
            self.back.push_back(word);
        }
    }

    /// Something happens to the source, which then does what the transition says.
    fn source_input(&self, rules: Rules, input: SourceInput) -> Self {
        let mut world = self.clone();
        let Some(before) = world.source else { return world };
        let (state, action) = (rules.source)(before, input);
        world.source = Some(state);
        if action != SourceAction::Nothing {
            world.doing = action;
        }
        match action {
            SourceAction::SendRest => world.source_machine = Machine::Held,
            SourceAction::HandOver => world.say(Forth::Go),
            SourceAction::Leave => world.source_machine = Machine::None,
            SourceAction::GoOn => world.source_machine = Machine::Runs,
            SourceAction::Cancel => {
                world.say(Forth::Cancel);
                world.source_machine = Machine::Runs;
            }
            SourceAction::AwaitReady => world.say(Forth::Complete),
            SourceAction::Greet
            | SourceAction::Copy
            | SourceAction::Hold
            | SourceAction::Stay
            | SourceAction::Nothing => {}
        }
        world
    }

    fn target_input(&self, rules: Rules, input: TargetInput) -> Self {
        let mut world = self.clone();
        let Some(before) = world.target else { return world };
        let (state, action) = (rules.target)(before, input);
        world.target = Some(state);
        if action != TargetAction::Nothing {
            world.target_doing = action;
        }
        match action {
            TargetAction::Accept => world.answer(Back::Accept),
            TargetAction::SayReady => world.answer(Back::Ready),
            TargetAction::Run => {
                world.answer(Back::Running);
                world.target_machine = Machine::Runs;
                world.target_had_it = true;
            }
            TargetAction::Refuse => world.answer(Back::Refused),
            TargetAction::Hear | TargetAction::Load | TargetAction::Leave | TargetAction::Nothing => {}
        }
        world
    }

    /// Everything that can happen next.
    fn next(&self, rules: Rules) -> Vec<(String, Self)> {
        let mut next = Vec::new();
        if let Some(state) = self.source
            && !state.is_final()
        {
            self.source_events(state, rules, &mut next);
        }
        if let Some(state) = self.target
            && !state.is_final()
        {
            self.target_events(rules, &mut next);
        }
        if !self.cut {
            // Any part of what is under way may still arrive.
            for forth in 0..=self.forth.len() {
                for back in 0..=self.back.len() {
                    let mut world = self.clone();
                    world.cut = true;
                    world.forth.truncate(forth);
                    world.back.truncate(back);
                    next.push((format!("the connection is cut, {forth} and {back} words arrive"), world));
                }
            }
        }
        // One process at most is ended from outside: whoever ends both has ended the machine.
        if !self.source_killed && !self.target_killed {
            if self.source.is_some() {
                let mut world = self.clone();
                (world.source, world.source_machine, world.source_killed) = (None, Machine::None, true);
                next.push(("the source is killed".to_owned(), world));
            }
            if self.target.is_some() {
                let mut world = self.clone();
                (world.target, world.target_machine, world.target_killed) = (None, Machine::None, true);
                next.push(("the destination is killed".to_owned(), world));
            }
        }
        next
    }

    fn source_events(&self, state: Source, rules: Rules, next: &mut Vec<(String, Self)>) {
        let mut on = |what: String, world: Self| next.push((format!("source: {what}"), world));
        if let Some(word) = self.back.front() {
            let mut world = self.clone();
            world.back.pop_front();
            let input = match word {
                Back::Accept => SourceInput::Accepted,
                Back::Ready => SourceInput::Ready,
                Back::Running => SourceInput::Running,
                Back::Refused => SourceInput::Refused,
            };
            on(format!("hears {word:?}"), world.source_input(rules, input));
        } else if self.cut || self.target.is_none() || self.target == Some(Target::Failed) {
            on(
                "finds the connection gone".to_owned(),
                self.source_input(rules, SourceInput::Lost),
            );
        }
        let done = match self.doing {
            SourceAction::Copy => Some(SourceInput::Converged),
            SourceAction::Hold => Some(SourceInput::Held),
            SourceAction::SendRest => Some(SourceInput::Sent),
            _ => None,
        };
        if let Some(input) = done {
            on(format!("{input:?}"), self.source_input(rules, input));
        }
        // Patience, a host that fails, a word that makes no sense.
        on("gives up".to_owned(), self.source_input(rules, SourceInput::Lost));
        // A person's wish is taken up until the machine is handed over.
        if self.cancels < 2 && state != Source::HandedOver {
            let mut world = self.clone();
            world.cancels += 1;
            on(
                "is cancelled".to_owned(),
                world.source_input(rules, SourceInput::Cancelled),
            );
        }
    }

    fn target_events(&self, rules: Rules, next: &mut Vec<(String, Self)>) {
        let mut on = |what: String, world: Self| next.push((format!("destination: {what}"), world));
        // While it builds the machine it does not listen.
        if self.target_doing == TargetAction::Load {
            for input in [TargetInput::Loaded, TargetInput::Invalid] {
                on(format!("{input:?}"), self.target_input(rules, input));
            }
            return;
        }
        if let Some(word) = self.forth.front() {
            let mut world = self.clone();
            world.forth.pop_front();
            let inputs: &[TargetInput] = match word {
                Forth::Hello => &[TargetInput::Compatible, TargetInput::Invalid],
                Forth::Complete => &[TargetInput::Complete, TargetInput::Invalid],
                Forth::Go => &[TargetInput::Go],
                Forth::Cancel => &[TargetInput::Cancelled],
            };
            for input in inputs {
                on(format!("hears {word:?}: {input:?}"), world.target_input(rules, *input));
            }
        } else if self.cut || self.source.is_none_or(Source::is_final) {
            on(
                "finds the connection gone".to_owned(),
                self.target_input(rules, TargetInput::Lost),
            );
        }
        on("gives up".to_owned(), self.target_input(rules, TargetInput::Lost));
    }

    /// What must be true at all times.
    fn check(&self) -> Result<(), &'static str> {
        if self.source_machine == Machine::Runs && self.target_machine == Machine::Runs {
            return Err("both run");
        }
        if self.source_machine == Machine::None && !self.source_killed && !self.target_had_it {
            return Err("the source has given the machine away to nobody");
        }
        Ok(())
    }

    /// What must be true when nothing but faults is left to happen.
    fn check_end(&self) -> Result<(), &'static str> {
        let is_over = |state: Option<bool>| state.unwrap_or(true);
        if !is_over(self.source.map(Source::is_final)) || !is_over(self.target.map(Target::is_final)) {
            return Ok(());
        }
        match (self.source_machine, self.target_machine) {
            (Machine::Runs, Machine::None) | (Machine::None, Machine::Runs) => Ok(()),
            // A person has to look, since the last word was lost: the machine runs there, or is held here.
            (Machine::Held, _) if self.source == Some(Source::Unknown) => Ok(()),
            // Whoever had it was killed.
            (Machine::None, Machine::None) if self.source_killed || self.target_killed && self.target_had_it => Ok(()),
            (Machine::None, Machine::None) => Err("nobody has the machine"),
            _ => Err("the machine stands still and nobody was told"),
        }
    }
}

/// Visits every world; how many there are, or what led to one that must not be.
fn explore(rules: Rules) -> Result<usize, String> {
    let start = World::new();
    let mut from: BTreeMap<World, Option<(String, World)>> = BTreeMap::new();
    from.insert(start.clone(), None);
    let mut open = VecDeque::from([start]);
    while let Some(world) = open.pop_front() {
        if let Err(fault) = world.check().and_then(|()| world.check_end()) {
            let mut steps = Vec::new();
            let mut at = &world;
            while let Some(Some((step, before))) = from.get(at) {
                steps.push(step.clone());
                at = before;
            }
            steps.reverse();
            return Err(format!("{fault} after: {}", steps.join("; ")));
        }
        for (step, next) in world.next(rules) {
            if !from.contains_key(&next) {
                from.insert(next.clone(), Some((step, world.clone())));
                open.push_back(next);
            }
        }
    }
    // Both sides are asked about everything they can be asked about.
    let seen: BTreeSet<_> = from.keys().filter_map(|world| world.source).collect();
    assert_eq!(seen.len(), 9, "states of the source that were seen: {seen:?}");
    let seen: BTreeSet<_> = from.keys().filter_map(|world| world.target).collect();
    assert_eq!(seen.len(), 6, "states of the destination that were seen: {seen:?}");
    Ok(from.len())
}

#[test]
fn one_side_has_the_machine_whatever_fails() {
    let worlds = explore(REAL).unwrap();
    println!("{worlds} worlds");
    assert!(worlds > 300, "{worlds} worlds are too few for all that can fail");
}

#[test]
fn without_the_commit_check_the_machine_is_lost() {
    // A source that takes the machine for moved once everything is sent.
    let careless = Rules {
        source: |state, input| match (state, input) {
            (Source::Finishing, SourceInput::Sent) => (Source::Moved, SourceAction::Leave),
            other => other.0.step(other.1),
        },
        ..REAL
    };
    let fault = explore(careless).unwrap_err();
    assert!(
        fault.starts_with("the source has given the machine away to nobody"),
        "{fault}"
    );
}

#[test]
fn a_source_that_leaves_without_the_word_loses_the_machine() {
    // It believes that the destination runs what it is ready to run.
    let hasty = Rules {
        source: |state, input| match (state, input) {
            (Source::Asking, SourceInput::Ready) => (Source::Moved, SourceAction::Leave),
            other => other.0.step(other.1),
        },
        ..REAL
    };
    let fault = explore(hasty).unwrap_err();
    assert!(
        fault.starts_with("the source has given the machine away to nobody"),
        "{fault}"
    );
}

#[test]
fn a_destination_that_does_not_wait_for_the_word_runs_it_twice() {
    let hasty = Rules {
        target: |state, input| match (state, input) {
            (Target::Loading, TargetInput::Loaded) => (Target::Running, TargetAction::Run),
            other => other.0.step(other.1),
        },
        ..REAL
    };
    let fault = explore(hasty).unwrap_err();
    assert!(fault.starts_with("both run"), "{fault}");
}

#[test]
fn a_source_that_takes_back_what_it_handed_over_runs_it_twice() {
    let stubborn = Rules {
        source: |state, input| match (state, input) {
            (Source::HandedOver, SourceInput::Lost) => (Source::Kept, SourceAction::GoOn),
            other => other.0.step(other.1),
        },
        ..REAL
    };
    let fault = explore(stubborn).unwrap_err();
    assert!(fault.starts_with("both run"), "{fault}");
}
