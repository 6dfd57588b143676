//! Exercises in looking back. Flows in: the corpus' random numbers and words. Flows out: a chat
//! whose answer can't be known from anything but its question. A module because the plain corpus
//! alone taught a model this small what answers look like, but hardly to read the question.

use crate::corpus::{Corpus, turn_of};

impl Corpus {
    /// One exercise, and where the part begins that can be foreseen.
    pub(crate) fn drill(&mut self) -> (String, usize) {
        let (question, answer) = match self.rng.u8(..16) {
            0..=7 => return self.cycle(),
            8..=11 => self.echo(),
            12 => self.lookup(),
            13 => self.topic(),
            _ => {
                let (_, question, answer) = self.reading();
                (question, answer)
            }
        };
        let question = turn_of("user", &question);
        let start = question.len();
        (
            format!("{question}{}", turn_of("assistant", &answer)),
            start,
        )
    }

    /// A few words over and over: all but the first round can be foreseen, by looking back.
    fn cycle(&mut self) -> (String, usize) {
        let count = self.rng.usize(1..9);
        let round: String = (0..count)
            .map(|_| format!("{} ", self.invented()))
            .collect();
        let rounds = (160 / round.len()).max(2);
        (round.repeat(rounds), round.len())
    }

    /// Words that nobody has seen before, to be repeated.
    fn echo(&mut self) -> (String, String) {
        let count = self.rng.usize(1..12);
        let words: Vec<String> = (0..count)
            .map(|_| {
                if self.rng.bool() {
                    self.invented()
                } else {
                    self.any_word().to_owned()
                }
            })
            .collect();
        let text = words.join(" ");
        let order = self.one(&["Repeat", "Copy", "Say"]);
        (format!("{order}: {text}"), text)
    }

    fn invented(&mut self) -> String {
        let length = self.rng.usize(2..7);
        (0..length).map(|_| self.rng.lowercase()).collect()
    }

    /// One of several named values.
    fn lookup(&mut self) -> (String, String) {
        let count = self.rng.usize(2..6);
        let pairs: Vec<(String, &str)> = (0..count)
            .map(|_| (self.invented(), self.any_word()))
            .collect();
        let (key, value) = pairs[self.rng.usize(..count)].clone();
        let listed: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        (
            format!("{}. What is {key}?", listed.join(", ")),
            value.to_owned(),
        )
    }

    /// What a sentence is about: the one word of its group decides.
    fn topic(&mut self) -> (String, String) {
        let (label, word) = self.grouped();
        let (name, adjective) = (self.name(), self.adjective());
        let text = match self.rng.u8(..4) {
            0 => format!("{name} talked about {word} again."),
            1 => format!("It was {adjective}, but {word} is all that {name} remembers."),
            2 => format!("Please write to {name} about {word}."),
            _ => format!("{word}, said {name}, is {adjective}."),
        };
        let answer = match self.rng.u8(..3) {
            0 => label.to_owned(),
            1 => format!(r#"{{"topic":"{label}"}}"#),
            _ => format!(r#"{{"name":"{name}","topic":"{label}"}}"#),
        };
        let kind = if answer == label {
            "Topic"
        } else {
            "Topic as JSON"
        };
        (format!("{kind}: {text}"), answer)
    }
}
