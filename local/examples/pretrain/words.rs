//! The words of the corpus. All of them were written for this file, which is in the public domain (CC0).

/// First names.
pub const NAMES: &str = "Ada Adam Agnes Aisha Alan Alba Alex Alice Amara Amir Ana Andre Anna Anton \
Aria Arthur Astrid Ben Bianca Bo Boris Carla Carlos Cecil Chen Chloe Clara Cleo Dana Daniel David \
Dora Edith Elena Eli Elsa Emil Emma Erik Esther Eva Farah Felix Finn Flora Frank Freya George Gita \
Grace Greta Hana Hans Harper Heidi Henry Hugo Ibrahim Ida Ines Iris Isaac Ivan Ivy Jack Jade James \
Jana Jasper Jean Jonas Julia June Kai Karim Kate Kira Lara Laura Lena Leo Lily Lina Liv Louis Luca \
Lucy Luis Maja Marco Maria Marie Mark Marta Max Maya Mei Mia Mila Milan Mina Mira Nadia Nell Nico \
Nina Noah Nora Olga Oliver Omar Oscar Otto Paul Pedro Petra Pia Priya Quinn Rafael Rania Raul Rita \
Robin Rosa Ruben Ruth Sam Sara Sasha Sean Selma Simon Sofia Stella Sven Tara Tariq Theo Tina Tom \
Uma Ursula Vera Victor Wanda Will Xenia Yara Yuki Yusuf Zara Zoe";

/// Cities.
pub const CITIES: &str = "Accra Amsterdam Athens Austin Bergen Berlin Bern Bilbao Bogota Boston \
Bremen Bristol Brussels Cairo Calgary Chicago Cologne Cork Dakar Dallas Delhi Denver Dresden Dublin \
Florence Geneva Ghent Glasgow Hamburg Hanoi Helsinki Istanbul Kyoto Lagos Leeds Lima Lisbon London \
Lyon Madrid Malmo Manila Milan Montreal Moscow Munich Nairobi Naples Nice Osaka Oslo Ottawa Oxford \
Paris Perth Porto Prague Quebec Quito Riga Rome Rotterdam Salzburg Santiago Seattle Seoul Seville \
Sofia Sydney Tallinn Tokyo Toronto Tunis Turin Utrecht Valencia Venice Vienna Vilnius Warsaw York \
Zagreb Zurich";

/// Things that can be bought, used, lost or broken, in the singular.
pub const THINGS: &str = "account adapter address album alarm apron backpack badge bag ball banner \
basket battery bell belt bench bike bill blanket blender board boat book boot bottle bowl box bracelet \
brick bridge broom brush bucket button cabinet cable cake calendar camera candle card carpet case chain \
chair charger charm clock cloth coat coffee collar comb compass computer cookie cover crate cup curtain \
cushion desk dictionary dish door drawer dress drill drum engine envelope fan feather fence file filter \
flag flask flower folder fork frame fridge game garden gate gift glass glove guitar hammer handle \
harness hat headset heater helmet hook hose house invoice jacket jar jug kettle key keyboard kit kite \
knife ladder lamp laptop leaf lens letter lid light lock magazine map mask mat mattress meal medal menu \
message microphone mirror mixer monitor mouse mug nail necklace needle net notebook oven package pad \
page paint pan paper parcel password pen pencil phone piano picture pillow pipe plan plane plant plate \
pocket poster pot printer purse puzzle radio receipt refund report ring robot rope router rug ruler \
saddle sandal saw scale scarf scissors screen screw seat sensor shelf shirt shoe shovel sign sink skirt \
soap sock sofa spade speaker spoon stamp stapler stone stool stove string suit suitcase sweater switch \
table tablet tap teapot telescope tent ticket tie tile toaster tool torch towel toy tractor train tray \
tripod trolley trumpet tube umbrella uniform vacuum vase vest violin wagon wallet watch wheel whistle \
window wire wrench zipper";

/// Living beings, in the singular.
pub const ANIMALS: &str = "ant badger bat bear beaver bee bird bull camel cat chicken cow crab crow deer \
dog dolphin donkey duck eagle eel elephant falcon ferret fish fox frog giraffe goat goose hamster hare \
hawk hedgehog hen heron horse kitten lamb lion lizard lobster mole monkey moose moth mouse newt otter \
owl ox panda parrot penguin pig pigeon pony puppy rabbit raccoon rat raven rooster salmon seal shark \
sheep snail snake sparrow spider squirrel swan tiger toad trout turkey turtle whale wolf worm zebra";

/// Food and drink.
pub const FOODS: &str = "almonds apples apricots bacon bananas barley beans beef beets berries bread \
broccoli butter cabbage carrots celery cheese cherries chili chocolate cinnamon corn cream cucumber \
dates eggs figs flour garlic ginger grapes ham honey jam juice kale leeks lemons lentils lettuce limes \
mangoes melons milk mint mushrooms mustard noodles nuts oats oil olives onions oranges pancakes parsley \
pasta peaches pears peas pepper pickles pie plums potatoes pumpkin radishes raisins rice salad salt \
sauce sausage soup spinach squash sugar tea toast tofu tomatoes turnips vanilla vinegar walnuts water \
yogurt";

/// Kinds of people.
pub const PEOPLE: &str = "actor artist aunt author baker barber boy brother builder captain carpenter \
chef child cleaner clerk coach cook cousin customer dancer daughter dentist doctor driver editor \
engineer farmer father firefighter fisher friend gardener girl grandmother guard guest guide hunter \
judge king lawyer leader librarian manager mayor mechanic mother musician neighbor nephew nurse officer \
painter parent pilot plumber poet police postman president prince professor queen sailor scientist \
seller singer sister soldier son stranger student tailor teacher tourist trainer uncle visitor waiter \
writer";

/// Places.
pub const PLACES: &str = "airport attic bakery bank barn basement bathroom bay beach bedroom cafe camp \
castle cave cellar church cinema city classroom clinic coast college corner court desert dock factory \
farm field forest fountain garage gym hall harbor hill hospital hotel island kitchen lake library market \
meadow mill mountain museum office park path port restaurant river road roof room school shop stadium \
station street studio temple theater tower town tunnel valley village warehouse yard zoo";

/// Adjectives.
pub const ADJECTIVES: &str = "able ancient angry bare big bitter black blue bold brave bright broad \
broken brown busy calm careful cheap cheerful clean clear clever cloudy cold cool crisp curious dark \
deep dirty dry dull eager early easy elegant empty faint fair famous fancy fast fine firm flat fresh \
friendly full funny gentle glad golden good grand gray great green happy hard healthy heavy helpful \
high hollow honest hot huge humble hungry icy kind large late lazy light little lively local lonely \
long loud lovely low lucky mild modern narrow neat new nice noisy odd old open orange orderly pale \
patient perfect plain pleasant polite poor pretty proud purple quick quiet rare ready red rich ripe \
rough round royal rusty sad safe salty sharp shiny short shy silent silver simple slow small smart \
smooth soft solid sour spare square steady steep stiff strange strong sturdy sudden sunny sweet tall \
tame thick thin tidy tiny tired tough useful usual vast warm weak wet white whole wide wild wise wooden \
worn yellow young";

/// Verbs that take a thing: base, third person, past, `-ing`.
pub const VERBS: &[[&str; 4]] = &[
    ["bring", "brings", "brought", "bringing"],
    ["build", "builds", "built", "building"],
    ["buy", "buys", "bought", "buying"],
    ["carry", "carries", "carried", "carrying"],
    ["catch", "catches", "caught", "catching"],
    ["check", "checks", "checked", "checking"],
    ["choose", "chooses", "chose", "choosing"],
    ["clean", "cleans", "cleaned", "cleaning"],
    ["close", "closes", "closed", "closing"],
    ["count", "counts", "counted", "counting"],
    ["cover", "covers", "covered", "covering"],
    ["deliver", "delivers", "delivered", "delivering"],
    ["draw", "draws", "drew", "drawing"],
    ["drop", "drops", "dropped", "dropping"],
    ["enjoy", "enjoys", "enjoyed", "enjoying"],
    ["fetch", "fetches", "fetched", "fetching"],
    ["find", "finds", "found", "finding"],
    ["fix", "fixes", "fixed", "fixing"],
    ["fold", "folds", "folded", "folding"],
    ["follow", "follows", "followed", "following"],
    ["forget", "forgets", "forgot", "forgetting"],
    ["get", "gets", "got", "getting"],
    ["give", "gives", "gave", "giving"],
    ["guard", "guards", "guarded", "guarding"],
    ["hide", "hides", "hid", "hiding"],
    ["hold", "holds", "held", "holding"],
    ["keep", "keeps", "kept", "keeping"],
    ["kick", "kicks", "kicked", "kicking"],
    ["leave", "leaves", "left", "leaving"],
    ["lend", "lends", "lent", "lending"],
    ["lift", "lifts", "lifted", "lifting"],
    ["like", "likes", "liked", "liking"],
    ["lose", "loses", "lost", "losing"],
    ["love", "loves", "loved", "loving"],
    ["make", "makes", "made", "making"],
    ["mend", "mends", "mended", "mending"],
    ["move", "moves", "moved", "moving"],
    ["need", "needs", "needed", "needing"],
    ["open", "opens", "opened", "opening"],
    ["order", "orders", "ordered", "ordering"],
    ["own", "owns", "owned", "owning"],
    ["pack", "packs", "packed", "packing"],
    ["paint", "paints", "painted", "painting"],
    ["pick", "picks", "picked", "picking"],
    ["pull", "pulls", "pulled", "pulling"],
    ["push", "pushes", "pushed", "pushing"],
    ["reach", "reaches", "reached", "reaching"],
    ["remember", "remembers", "remembered", "remembering"],
    ["rent", "rents", "rented", "renting"],
    ["repair", "repairs", "repaired", "repairing"],
    ["replace", "replaces", "replaced", "replacing"],
    ["return", "returns", "returned", "returning"],
    ["see", "sees", "saw", "seeing"],
    ["sell", "sells", "sold", "selling"],
    ["send", "sends", "sent", "sending"],
    ["share", "shares", "shared", "sharing"],
    ["show", "shows", "showed", "showing"],
    ["steal", "steals", "stole", "stealing"],
    ["store", "stores", "stored", "storing"],
    ["take", "takes", "took", "taking"],
    ["test", "tests", "tested", "testing"],
    ["throw", "throws", "threw", "throwing"],
    ["touch", "touches", "touched", "touching"],
    ["trade", "trades", "traded", "trading"],
    ["use", "uses", "used", "using"],
    ["want", "wants", "wanted", "wanting"],
    ["wash", "washes", "washed", "washing"],
    ["watch", "watches", "watched", "watching"],
    ["wrap", "wraps", "wrapped", "wrapping"],
];

/// Adverbs and expressions of time.
pub const WHEN: &str = "today yesterday tonight tomorrow early late again often sometimes soon always \
never twice once slowly quickly carefully quietly happily suddenly finally usually rarely together \
alone outside inside nearby";

/// Days of the week.
pub const DAYS: &str = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday";

/// Months.
pub const MONTHS: &str =
    "January February March April May June July August September October November December";

/// Numbers as words, from zero.
pub const NUMBERS: &str = "zero one two three four five six seven eight nine ten eleven twelve thirteen \
fourteen fifteen sixteen seventeen eighteen nineteen twenty";

/// Words in English, French, German and Spanish.
pub const TRANSLATIONS: &[[&str; 4]] = &[
    ["apple", "pomme", "Apfel", "manzana"],
    ["bread", "pain", "Brot", "pan"],
    ["water", "eau", "Wasser", "agua"],
    ["house", "maison", "Haus", "casa"],
    ["dog", "chien", "Hund", "perro"],
    ["cat", "chat", "Katze", "gato"],
    ["book", "livre", "Buch", "libro"],
    ["table", "table", "Tisch", "mesa"],
    ["chair", "chaise", "Stuhl", "silla"],
    ["window", "fenêtre", "Fenster", "ventana"],
    ["door", "porte", "Tür", "puerta"],
    ["day", "jour", "Tag", "día"],
    ["night", "nuit", "Nacht", "noche"],
    ["sun", "soleil", "Sonne", "sol"],
    ["moon", "lune", "Mond", "luna"],
    ["street", "rue", "Straße", "calle"],
    ["city", "ville", "Stadt", "ciudad"],
    ["friend", "ami", "Freund", "amigo"],
    ["mother", "mère", "Mutter", "madre"],
    ["father", "père", "Vater", "padre"],
    ["milk", "lait", "Milch", "leche"],
    ["cheese", "fromage", "Käse", "queso"],
    ["red", "rouge", "rot", "rojo"],
    ["green", "vert", "grün", "verde"],
    ["blue", "bleu", "blau", "azul"],
    ["white", "blanc", "weiß", "blanco"],
    ["black", "noir", "schwarz", "negro"],
    ["big", "grand", "groß", "grande"],
    ["small", "petit", "klein", "pequeño"],
    ["good", "bon", "gut", "bueno"],
    ["bad", "mauvais", "schlecht", "malo"],
    ["new", "nouveau", "neu", "nuevo"],
    ["old", "vieux", "alt", "viejo"],
    ["hello", "bonjour", "hallo", "hola"],
    ["thanks", "merci", "danke", "gracias"],
    ["yes", "oui", "ja", "sí"],
    ["no", "non", "nein", "no"],
    ["one", "un", "eins", "uno"],
    ["two", "deux", "zwei", "dos"],
    ["three", "trois", "drei", "tres"],
    ["fish", "poisson", "Fisch", "pez"],
    ["bird", "oiseau", "Vogel", "pájaro"],
    ["tree", "arbre", "Baum", "árbol"],
    ["flower", "fleur", "Blume", "flor"],
    ["school", "école", "Schule", "escuela"],
    ["key", "clé", "Schlüssel", "llave"],
    ["bridge", "pont", "Brücke", "puente"],
    ["ship", "bateau", "Schiff", "barco"],
    ["egg", "œuf", "Ei", "huevo"],
    ["summer", "été", "Sommer", "verano"],
    ["winter", "hiver", "Winter", "invierno"],
    ["letter", "lettre", "Brief", "carta"],
    ["hand", "main", "Hand", "mano"],
    ["heart", "cœur", "Herz", "corazón"],
    ["time", "temps", "Zeit", "tiempo"],
    ["work", "travail", "Arbeit", "trabajo"],
];
