//! The corpus: a seeded grammar of plain English that yields one short document at a time, half of them
//! chats. The built-in base is trained on nothing else. Like its words, it was written for this purpose
//! and is in the public domain (CC0).

use fastrand::Rng;

use crate::words;

/// A source of documents.
pub struct Corpus {
    rng: Rng,
    lists: Lists,
}

struct Lists {
    names: Vec<&'static str>,
    cities: Vec<&'static str>,
    things: Vec<&'static str>,
    animals: Vec<&'static str>,
    foods: Vec<&'static str>,
    people: Vec<&'static str>,
    places: Vec<&'static str>,
    adjectives: Vec<&'static str>,
    when: Vec<&'static str>,
    days: Vec<&'static str>,
    months: Vec<&'static str>,
    numbers: Vec<&'static str>,
}

fn list(words: &'static str) -> Vec<&'static str> {
    words.split_whitespace().collect()
}

impl Corpus {
    /// Creates a corpus. The same seed gives the same documents.
    pub fn new(seed: u64) -> Self {
        let lists = Lists {
            names: list(words::NAMES),
            cities: list(words::CITIES),
            things: list(words::THINGS),
            animals: list(words::ANIMALS),
            foods: list(words::FOODS),
            people: list(words::PEOPLE),
            places: list(words::PLACES),
            adjectives: list(words::ADJECTIVES),
            when: list(words::WHEN),
            days: list(words::DAYS),
            months: list(words::MONTHS),
            numbers: list(words::NUMBERS),
        };
        Self {
            rng: Rng::with_seed(seed),
            lists,
        }
    }

    /// Returns the next document.
    pub fn document(&mut self) -> String {
        if self.rng.u8(..10) < 3 {
            let sentences = 2 + self.rng.usize(..3);
            let text: Vec<String> = (0..sentences).map(|_| self.sentence()).collect();
            return text.join(" ");
        }
        let turns = 1 + usize::from(self.rng.u8(..10) == 0);
        let mut text = String::new();
        for turn in 0..turns {
            let (system, user, assistant) = self.task();
            if turn == 0 && self.rng.u8(..3) == 0 {
                text.push_str(&turn_of("system", &system));
            }
            text.push_str(&turn_of("user", &user));
            text.push_str(&turn_of("assistant", &assistant));
        }
        text
    }

    fn pick(&mut self, from: fn(&Lists) -> &Vec<&'static str>) -> &'static str {
        let list = from(&self.lists);
        list[self.rng.usize(..list.len())]
    }

    fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.rng.usize(..choices.len())]
    }

    fn verb(&mut self) -> [&'static str; 4] {
        words::VERBS[self.rng.usize(..words::VERBS.len())]
    }

    fn name(&mut self) -> &'static str {
        self.pick(|lists| &lists.names)
    }

    fn thing(&mut self) -> &'static str {
        self.pick(|lists| &lists.things)
    }

    fn adjective(&mut self) -> &'static str {
        self.pick(|lists| &lists.adjectives)
    }

    /// A noun phrase, such as "the old lamp" or "a quick fox".
    fn phrase(&mut self) -> String {
        let noun = match self.rng.u8(..4) {
            0 => self.pick(|lists| &lists.animals),
            1 => self.pick(|lists| &lists.people),
            _ => self.thing(),
        };
        if self.rng.bool() {
            let adjective = self.adjective();
            let article = self.article(adjective);
            format!("{article} {adjective} {noun}")
        } else {
            format!("{} {noun}", self.article(noun))
        }
    }

    fn article(&mut self, next: &str) -> &'static str {
        match self.rng.u8(..5) {
            0 | 1 => "the",
            2 => self.one(&["my", "your", "his", "her", "our", "their"]),
            _ if next.starts_with(['a', 'e', 'i', 'o', 'u']) => "an",
            _ => "a",
        }
    }

    fn subject(&mut self) -> String {
        match self.rng.u8(..3) {
            0 => self.name().to_owned(),
            1 => format!("the {}", self.pick(|lists| &lists.people)),
            _ => {
                let adjective = self.adjective();
                format!("the {adjective} {}", self.pick(|lists| &lists.animals))
            }
        }
    }

    /// A plain sentence.
    fn sentence(&mut self) -> String {
        let subject = self.subject();
        let [base, third, past, ing] = self.verb();
        let object = self.phrase();
        let place = self.pick(|lists| &lists.places);
        let text = match self.rng.u8(..9) {
            0 => format!("{subject} {past} {object} in the {place}"),
            1 => format!(
                "{subject} {third} {object} {}",
                self.pick(|lists| &lists.when)
            ),
            2 => format!(
                "{subject} will {base} {object} on {}",
                self.pick(|lists| &lists.days)
            ),
            3 => format!(
                "in {}, {subject} was {ing} {object}",
                self.pick(|lists| &lists.months)
            ),
            4 => format!(
                "{object} is {} than {}",
                self.one(&["bigger", "older", "better", "smaller"]),
                self.phrase()
            ),
            5 => format!(
                "{subject} did not {base} {object} because it was {}",
                self.adjective()
            ),
            6 => format!(
                "there are {} {} and some {} in the {place}",
                self.pick(|lists| &lists.numbers),
                self.pick(|lists| &lists.foods),
                self.pick(|lists| &lists.foods)
            ),
            7 => format!(
                "when {subject} {past} {object}, everyone was {}",
                self.adjective()
            ),
            _ => format!(
                "{subject} lives in {} near the {place}",
                self.pick(|lists| &lists.cities)
            ),
        };
        format!("{}.", capital(&text))
    }

    /// A task, as `(system prompt, question, answer)`.
    fn task(&mut self) -> (String, String, String) {
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
        let (label, word) = match self.rng.u8(..5) {
            0 => ("animal", self.pick(|lists| &lists.animals)),
            1 => ("food", self.pick(|lists| &lists.foods)),
            2 => ("city", self.pick(|lists| &lists.cities)),
            3 => ("place", self.pick(|lists| &lists.places)),
            _ => ("thing", self.thing()),
        };
        (
            "You sort words into groups.".to_owned(),
            format!("What is {word}?"),
            label.to_owned(),
        )
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

fn turn_of(role: &str, content: &str) -> String {
    format!("<|im_start|>{role}\n{content}<|im_end|>\n")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
