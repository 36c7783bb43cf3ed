//! A profile that callgrind wrote: the cost of each function, and how often each was called.

use std::collections::HashMap;

/// How many callers of an allocation are told.
const CALLERS_TOLD: usize = 4;

/// A profile, or the part of one that a single miss has.
#[derive(Debug, Default)]
pub struct Profile {
    /// Instructions of each function, without those of what it calls.
    own: HashMap<String, f64>,
    /// The same with what it calls.
    whole: HashMap<String, f64>,
    /// Calls of the functions that allocate; a name goes on with those of its callers.
    allocations: HashMap<String, f64>,
}

impl Profile {
    /// The functions of the C library that allocate.
    pub const ALLOCATORS: [&str; 6] = ["malloc", "calloc", "realloc", "posix_memalign", "memalign", "aligned_alloc"];

    /// Reads the format that valgrind's manual calls "Callgrind Format".
    pub fn read(text: &str) -> Self {
        let (mut profile, mut names) = (Self::default(), HashMap::new());
        let (mut caller, mut callee, mut is_call) = (String::new(), String::new(), false);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                caller = named(name, &mut names);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                callee = named(name, &mut names);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                is_call = true;
                let count: f64 = calls.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
                if allocates(&callee) && !allocates(&caller) {
                    *profile.allocations.entry(callee.clone()).or_default() += count;
                }
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
                let cost: f64 = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or_default();
                let function = plain(&caller);
                *profile.whole.entry(function.to_owned()).or_default() += cost;
                // The cost behind a call is that of the callee.
                if !std::mem::take(&mut is_call) {
                    *profile.own.entry(function.to_owned()).or_default() += cost;
                }
            }
        }
        profile
    }

    /// What this one has more.
    pub fn less(mut self, other: &Self) -> Self {
        let pairs =
            [(&mut self.own, &other.own), (&mut self.whole, &other.whole), (&mut self.allocations, &other.allocations)];
        for (more, less) in pairs {
            for (function, count) in less {
                *more.entry(function.clone()).or_default() -= count;
            }
        }
        self
    }

    /// A part of it.
    pub fn each(mut self, parts: u64) -> Self {
        let all = [&mut self.own, &mut self.whole, &mut self.allocations].into_iter().flat_map(HashMap::values_mut);
        all.for_each(|count| *count /= parts as f64);
        self
    }

    pub fn instructions(&self) -> f64 {
        self.own.values().sum()
    }

    pub fn allocated(&self) -> f64 {
        self.allocations.values().sum()
    }

    /// The functions that cost most themselves, those of libraries too.
    pub fn own(&self, most: usize) -> Vec<(String, f64)> {
        largest(&self.own, most)
    }

    /// The functions of this program that cost most, with what they call; one that calls itself is counted more than once.
    pub fn whole(&self, most: usize) -> Vec<(String, f64)> {
        let ours = |(function, _): &(&String, &f64)| function.trim_start_matches('<').starts_with("landfall::");
        largest(&self.whole.iter().filter(ours).map(|(function, count)| (function.clone(), *count)).collect(), most)
    }

    /// The callers that allocate most often, with those that call them.
    pub fn allocations(&self, most: usize) -> Vec<(String, f64)> {
        let mut by_callers = HashMap::new();
        for (function, count) in &self.allocations {
            *by_callers.entry(callers(function)).or_default() += count;
        }
        largest(&by_callers, most)
    }
}

/// A name is written once, with a number, and then as its number: `(7) name`, `(7)`.
fn named(name: &str, names: &mut HashMap<String, String>) -> String {
    match name.split_once(' ') {
        Some((number, name)) => {
            names.insert(number.to_owned(), name.to_owned());
            name.to_owned()
        }
        None => names.get(name).cloned().unwrap_or_else(|| name.to_owned()),
    }
}

/// A function without its callers.
fn plain(function: &str) -> &str {
    function.split('\'').next().unwrap_or(function)
}

/// Some callers of a function, the innermost first. Those of the standard library are left out: they allocate for others.
fn callers(function: &str) -> String {
    let is_plumbing = |name: &&str| {
        ["alloc::", "core::", "std::"].iter().any(|library| name.trim_start_matches('<').starts_with(library))
    };
    let own = function.split('\'').skip(1).filter(|name| !is_plumbing(name));
    own.take(CALLERS_TOLD).collect::<Vec<_>>().join(" < ")
}

fn allocates(function: &str) -> bool {
    Profile::ALLOCATORS.contains(&plain(function))
}

fn largest(counts: &HashMap<String, f64>, most: usize) -> Vec<(String, f64)> {
    let mut counts: Vec<_> = counts.iter().map(|(function, count)| (function.clone(), *count)).collect();
    counts.sort_unstable_by(|(_, one), (_, other)| other.total_cmp(one));
    counts.truncate(most);
    counts
}
