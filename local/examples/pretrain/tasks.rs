//! The tasks of the corpus: what is asked and what is answered. Flows in: the corpus' random numbers
//! and words. Flow out: a system prompt, a question and an answer. A module because these are what
//! the base can do at all.

use crate::corpus::{Corpus, Lists};
use crate::words;

impl Corpus {
    /// `(system prompt, question, answer)`.
    pub(crate) fn task(&mut self) -> (String, String, String) {
        match self.rng.u8(..12) {
            0 => self.greeting(),
            1 => self.support(),
            2 => self.translation(),
            3 => self.extraction(),
            4 => self.enumeration(),
            5 => self.arithmetic(),
            6 => self.repetition(),
            7 => self.who_did_what(),
            8 => self.summary(),
            9 => self.category(),
            10 => self.correction(),
            _ => self.spelling(),
        }
    }

    fn greeting(&mut self) -> (String, String, String) {
        let name = self.name();
        let hello = self.one(&["Hello", "Hi", "Good morning", "Good evening", "Hey"]);
        let help = self.one(&[
            "How can I help you today?",
            "What can I do for you?",
            "How are you?",
        ]);
        (
            "You are a friendly assistant.".to_owned(),
            format!("{hello}, my name is {name}."),
            format!("{hello}, {name}! {help}"),
        )
    }

    fn support(&mut self) -> (String, String, String) {
        let (thing, adjective) = (self.thing(), self.adjective());
        let number = self.rng.u32(1000..99999);
        let (question, answer) = match self.rng.u8(..5) {
            0 => (
                format!("Where is my {thing}? My order number is {number}."),
                format!(
                    "I am sorry for the delay. Order {number} with your {thing} is on its way."
                ),
            ),
            1 => (
                format!("The {thing} I bought is broken. I want my money back."),
                format!("I am sorry that the {thing} is broken. We will send you a refund."),
            ),
            2 => (
                format!("How do I open the {thing}?"),
                format!("Press the {adjective} button on the side of the {thing} and pull."),
            ),
            3 => (
                format!("Do you sell a {adjective} {thing}?"),
                format!(
                    "Yes, we have a {adjective} {thing}. It costs {} dollars.",
                    number % 100
                ),
            ),
            _ => (
                format!("I can not log in. It says that my {thing} is wrong."),
                format!("Please reset your {thing} on the settings page and try again."),
            ),
        };
        (
            "You answer customers of a shop.".to_owned(),
            question,
            answer,
        )
    }

    fn translation(&mut self) -> (String, String, String) {
        let row = words::TRANSLATIONS[self.rng.usize(..words::TRANSLATIONS.len())];
        let language = 1 + self.rng.usize(..3);
        let name = ["English", "French", "German", "Spanish"][language];
        (
            format!("You translate from English to {name}."),
            format!("Translate to {name}: {}", row[0]),
            row[language].to_owned(),
        )
    }

    fn extraction(&mut self) -> (String, String, String) {
        let (name, city) = (self.name(), self.pick(|lists| &lists.cities));
        let (age, person) = (self.rng.u8(18..90), self.pick(|lists| &lists.people));
        let (text, json) = match self.rng.u8(..3) {
            0 => (
                format!("{name} is {age} years old and lives in {city}."),
                format!(r#"{{"name":"{name}","age":{age},"city":"{city}"}}"#),
            ),
            1 => (
                format!("The {person} {name} moved to {city}."),
                format!(r#"{{"name":"{name}","job":"{person}","city":"{city}"}}"#),
            ),
            _ => {
                let (thing, day) = (self.thing(), self.pick(|lists| &lists.days));
                (
                    format!("{name} will pick up the {thing} on {day}."),
                    format!(r#"{{"name":"{name}","item":"{thing}","day":"{day}"}}"#),
                )
            }
        };
        ("Answer with JSON only.".to_owned(), text, json)
    }

    fn enumeration(&mut self) -> (String, String, String) {
        let (kind, from): (&str, fn(&Lists) -> &Vec<&'static str>) = match self.rng.u8(..4) {
            0 => ("animals", |lists| &lists.animals),
            1 => ("foods", |lists| &lists.foods),
            2 => ("cities", |lists| &lists.cities),
            _ => ("names", |lists| &lists.names),
        };
        let count = self.rng.usize(2..5);
        let items: Vec<&str> = (0..count).map(|_| self.pick(from)).collect();
        let number = self.lists.numbers[count];
        let answer = if self.rng.bool() {
            items
                .iter()
                .map(|item| format!("- {item}"))
                .collect::<Vec<_>>()
                .join("\n")
        } else {
            items.join(", ")
        };
        (
            "You write lists.".to_owned(),
            format!("Name {number} {kind}."),
            answer,
        )
    }

    fn arithmetic(&mut self) -> (String, String, String) {
        let (left, right) = (self.rng.usize(..10), self.rng.usize(..10));
        let (question, result) = if self.rng.bool() {
            (format!("What is {left} plus {right}?"), left + right)
        } else {
            (format!("What is {} minus {right}?", left + right), left)
        };
        let word = self.lists.numbers[result];
        (
            "You are good at numbers.".to_owned(),
            question,
            format!("{result}, or {word}."),
        )
    }

    fn repetition(&mut self) -> (String, String, String) {
        let phrase = self.phrase();
        let (question, answer) = match self.rng.u8(..2) {
            0 => (format!("Repeat: {phrase}"), phrase),
            _ => (format!("Say in capitals: {phrase}"), phrase.to_uppercase()),
        };
        ("Do exactly what you are told.".to_owned(), question, answer)
    }

    fn who_did_what(&mut self) -> (String, String, String) {
        let name = self.name();
        let [base, _, past, _] = self.verb();
        let (thing, place) = (self.thing(), self.pick(|lists| &lists.places));
        let story = format!("{name} {past} the {thing} in the {place}.");
        let (question, answer) = match self.rng.u8(..3) {
            0 => (format!("Who {past} the {thing}?"), format!("{name}.")),
            1 => (format!("What did {name} {base}?"), format!("The {thing}.")),
            _ => (
                format!("Where did {name} {base} it?"),
                format!("In the {place}."),
            ),
        };
        (
            "Answer from the text.".to_owned(),
            format!("{story} {question}"),
            answer,
        )
    }

    fn summary(&mut self) -> (String, String, String) {
        let (name, thing) = (self.name(), self.thing());
        let [_, _, past, _] = self.verb();
        let (adjective, place) = (self.adjective(), self.pick(|lists| &lists.places));
        (
            "You write short summaries.".to_owned(),
            format!(
                "Summarize: On {} {name} went to the {place}. There {name} {past} a {adjective} {thing}. Then {name} went home.",
                self.pick(|lists| &lists.days)
            ),
            format!("{name} {past} a {thing} in the {place}."),
        )
    }

    fn category(&mut self) -> (String, String, String) {
        let (label, word) = self.grouped();
        (
            "You sort words into groups.".to_owned(),
            format!("What is {word}?"),
            label.to_owned(),
        )
    }

    /// A task whose answer is in the question.
    pub(crate) fn reading(&mut self) -> (String, String, String) {
        match self.rng.u8(..5) {
            0 => self.extraction(),
            1 => self.repetition(),
            2 => self.summary(),
            3 => self.greeting(),
            _ => self.who_did_what(),
        }
    }

    fn correction(&mut self) -> (String, String, String) {
        let sentence = self.sentence();
        let wrong = sentence.trim_end_matches('.').to_lowercase();
        (
            "You correct texts.".to_owned(),
            format!("Correct: {wrong}"),
            sentence,
        )
    }

    fn spelling(&mut self) -> (String, String, String) {
        let thing = self.thing();
        let letters: Vec<String> = thing.chars().map(String::from).collect();
        (
            "You spell words.".to_owned(),
            format!("Spell {thing}."),
            letters.join("-"),
        )
    }
}
