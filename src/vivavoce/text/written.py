"""What written English abbreviates: tables of short forms, units, money, signs and letters, and how each is said."""

from typing import Final

# ---- short forms that end with a full stop -------------------------------------------------------------------------

TITLES: Final = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "prof": "professor", "capt": "captain", "sgt": "sergeant",
    "gen": "general", "gov": "governor", "sen": "senator", "rep": "representative", "lt": "lieutenant",
    "col": "colonel", "maj": "major", "cpl": "corporal", "pvt": "private", "rev": "reverend", "hon": "honorable",
    "adm": "admiral", "cmdr": "commander", "pres": "president", "supt": "superintendent", "messrs": "messieurs",
    "fr": "father", "mt": "mount", "ft": "fort",
}  # fmt: skip
"""Before a name; never the end of a sentence."""
BEFORE_NUMBERS: Final = {
    "no": "number", "nos": "numbers", "p": "page", "pp": "pages", "vol": "volume", "vols": "volumes", "fig": "figure",
    "figs": "figures", "ch": "chapter", "chap": "chapter", "sec": "section", "sect": "section", "eq": "equation",
    "ext": "extension", "min": "minimum", "max": "maximum", "c": "circa", "ca": "circa", "art": "article",
    "v": "version",
    "ver": "version", "par": "paragraph", "pt": "part", "ed": "edition", "apt": "apartment", "ste": "suite",
    "rm": "room",
    "tel": "telephone", "mar": "march", "jun": "june",
}  # fmt: skip
"""Only where a number follows."""
INSIDE: Final = {
    "vs": "versus", "approx": "approximately", "e.g": "for example", "i.e": "that is", "eg": "for example",
    "ie": "that is", "cf": "compare", "viz": "namely", "incl": "including", "excl": "excluding", "avg": "average",
    "a.k.a": "also known as", "temp": "temperature", "tbsp": "tablespoon", "tsp": "teaspoon",
}  # fmt: skip
"""In the midst of a sentence; never its end."""
SUFFIXES: Final = {
    "etc": "et cetera", "jr": "junior", "sr": "senior", "inc": "incorporated", "ltd": "limited", "co": "company",
    "corp": "corporation", "dept": "department", "ave": "avenue", "blvd": "boulevard", "rd": "road", "ln": "lane",
    "ct": "court", "pl": "place", "sq": "square", "hwy": "highway", "pkwy": "parkway", "esq": "esquire",
    "bros": "brothers",
    "govt": "government", "assn": "association", "est": "established", "misc": "miscellaneous", "al": "al",
    "univ": "university", "a.m": "a. m", "p.m": "p m", "jan": "january", "feb": "february", "apr": "april",
    "jul": "july", "aug": "august", "sep": "september", "sept": "september", "oct": "october", "nov": "november",
    "dec": "december", "ph.d": "p h d", "b.sc": "b s c", "m.sc": "m s c",
}  # fmt: skip
"""The end of a sentence where a capital letter follows."""
WITHOUT_STOP: Final = frozenset({"mr", "mrs", "dr", "prof", "vs", "etc"})
"""Read so without their full stop too."""
WEEKDAYS: Final = {
    "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thur": "thursday",
    "thurs": "thursday", "fri": "friday", "sat": "saturday", "sun": "sunday",
}  # fmt: skip
STATES: Final = {
    "ala": "alabama", "ariz": "arizona", "ark": "arkansas", "calif": "california", "colo": "colorado",
    "conn": "connecticut", "del": "delaware", "fla": "florida", "ga": "georgia", "ill": "illinois", "ind": "indiana",
    "kan": "kansas", "ky": "kentucky", "la": "louisiana", "mass": "massachusetts", "md": "maryland",
    "mich": "michigan", "minn": "minnesota", "miss": "mississippi", "mo": "missouri", "mont": "montana",
    "neb": "nebraska", "nev": "nevada", "okla": "oklahoma", "ore": "oregon", "pa": "pennsylvania",
    "tenn": "tennessee", "tex": "texas", "va": "virginia", "vt": "vermont", "wash": "washington",
    "wis": "wisconsin", "wyo": "wyoming",
}  # fmt: skip
"""After a comma and a town."""
STREETS: Final = {"st": ("saint", "street"), "dr": ("doctor", "drive")}
"""Before a name, and after one."""
_LOWER_TOO: Final = frozenset(
    "mr mrs ms messrs dr prof st etc dept approx misc govt assn est al a.m p.m inc ltd corp ave blvd jr sr".split()
)
_CAPITALS_TOO: Final = frozenset(
    "mr mrs ms dr st jr sr etc vs no nos mt ft inc ltd corp ave blvd e.g i.e a.m p.m ph.d".split()
)


def may_be_short(written: str) -> bool:
    """Whether letters before a full stop may be a short form: "Est." may, the time zone "EST." may not."""
    name = written.lower()
    if len(written) > 1 and written.isupper() and name not in _CAPITALS_TOO:
        return False
    needs_capital = name in TITLES or name in SUFFIXES or name in WEEKDAYS or name in STATES
    return written[:1].isupper() or not needs_capital or name in _LOWER_TOO or name in BEFORE_NUMBERS or name in INSIDE


MONTHS: Final = {
    name: number
    for number, names in enumerate(
        "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug|september sept sep|october oct|"
        "november nov|december dec".split("|"),
        1,
    )
    for name in names.split()
}
MONTH_NAMES: Final = "january february march april may june july august september october november december".split()

STARTERS: Final = frozenset(
    """the a an it he she we they you i this that these those there here but and or so if in on at for to when while as
    what who why how where then now no yes not my your his her our their its is are was were do does did have has had
    can could would should will may let please thank thanks sorry sure ok okay well come go get see one some all many
    most each every after before however also because since although with from by of still yet even only just once
    perhaps maybe first second finally later next another both either neither nobody everyone everybody someone
    something nothing anything i'm i'll i've i'd it's he's she's we're they're you're that's there's what's let's
    don't""".split()
)
"""Words that begin sentences: after "U.S." or an initial only these do."""
EXCLAIMED: Final = frozenset({"yahoo", "jeopardy", "yum"})
"""Names that end with an exclamation mark."""

# ---- capitals ------------------------------------------------------------------------------------------------------

SPELLED: Final = frozenset(
    """AI API USA UK EU UN CEO CIA FBI DIY DJ FAQ IBM ID IQ OK UFO URL USB VIP CPU GPU AC BBC IOU ATM EKG CFO CTO COO
    AWS IPO EPA UAE IRS NBA ESPN UEFA ETA ASAP DIY EV PhD NYU UCLA MIT IMO AKA BA MA UI UX IO OS IP IPA OCD OECD IMF
    WHO HIV EUR USD ISO IEEE IEC ADHD UPS EST""".split()
)
CAPITAL_WORDS: Final = {
    "IT": "it",
    "US": "us",
    "WHO": "who",
    "LA": "la",
    "AM": "am",
    "ID": "id",
    "IO": "io",
    "MA": "ma",
}
"""Spelled, but words where somebody writes everything in capitals."""
SAID_AS_WORDS: Final = frozenset(
    "NASA NATO COVID UNESCO UNICEF AIDS OPEC FIFA SWAT GIF PIN SIM RAM ROM LASER RADAR SCUBA YOLO SCOTUS POTUS".split()
)
SHORT_WORDS: Final = frozenset(
    """a i am an as at be by do go he if in is it me my no of oh on or so to up us we all and any are bad big but buy
    can car cat cup day did die dog eat end far few for fun get god got had has her hey him his hot how huh ice its
    job joy key kid lad let lie lot low mad man may men mix mom mug new nor not now odd off old one our out own pay
    put red run sad saw say sea see set she sir sit six sky son sun tax tea ten the tie too top toy try two use war
    was way wet who why win won wow yes yet you ad ah aw ax ha hi ho ow ox""".split()
)

# ---- units ---------------------------------------------------------------------------------------------------------


def _metric() -> dict[str, tuple[str, str]]:
    made: dict[str, tuple[str, str]] = {}
    whole = {"k": "kilo", "m": "milli", "µ": "micro", "n": "nano", "M": "mega", "G": "giga", "T": "tera", "c": "centi"}
    bases = {
        "m": ("meter", "kmµnc"), "g": ("gram", "kmµn"), "s": ("second", "mµn"), "W": ("watt", "kmMGT"),
        "Wh": ("watt hour", "kMGT"), "V": ("volt", "kmM"), "A": ("amp", "mµ"), "Ah": ("amp hour", "m"),
        "Hz": ("hertz", "kMGT"), "Ω": ("ohm", "kMm"), "l": ("liter", "mµc"), "L": ("liter", "mµc"),
        "J": ("joule", "kMG"), "Pa": ("pascal", "kMG"), "B": ("byte", "kMGT"), "cal": ("calorie", "k"),
        "bit": ("bit", "kMGT"), "F": ("farad", "µnm"),
    }  # fmt: skip
    for sign, (name, prefixes) in bases.items():
        for prefix in prefixes:
            one = whole[prefix] + name
            one = "kilohm" if one == "kiloohm" else "megohm" if one == "megaohm" else one
            made[prefix + sign] = (one, one if name == "hertz" else one + "s")
    return made


UNITS: Final = {
    "KB": ("kilobyte", "kilobytes"), **_metric(),
    "m": ("meter", "meters"), "g": ("gram", "grams"), "s": ("second", "seconds"), "h": ("hour", "hours"),
    "l": ("liter", "liters"), "L": ("liter", "liters"), "dL": ("deciliter", "deciliters"),
    "dl": ("deciliter", "deciliters"),
    "W": ("watt", "watts"), "V": ("volt", "volts"), "Ω": ("ohm", "ohms"), "Hz": ("hertz", "hertz"),
    "dB": ("decibel", "decibels"),
    "hPa": ("hectopascal", "hectopascals"), "Pa": ("pascal", "pascals"), "bar": ("bar", "bars"),
    "oz": ("ounce", "ounces"), "fl oz": ("fluid ounce", "fluid ounces"), "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "ft": ("foot", "feet"), "in": ("inch", "inches"), "yd": ("yard", "yards"), "yds": ("yard", "yards"),
    "mi": ("mile", "miles"),
    "mph": ("mile per hour", "miles per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "sq ft": ("square foot", "square feet"), "sq m": ("square meter", "square meters"),
    "sq mi": ("square mile", "square miles"),
    "min": ("minute", "minutes"), "mins": ("minute", "minutes"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"),
    "sec": ("second", "seconds"), "secs": ("second", "seconds"), "yr": ("year", "years"), "yrs": ("year", "years"),
    "wk": ("week", "weeks"), "wks": ("week", "weeks"),
    "tsp": ("teaspoon", "teaspoons"), "tbsp": ("tablespoon", "tablespoons"), "qt": ("quart", "quarts"),
    "gal": ("gallon", "gallons"),
    "kbps": ("kilobit per second", "kilobits per second"), "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"), "fps": ("frame per second", "frames per second"),
    "rpm": ("revolution per minute", "revolutions per minute"), "bpm": ("beat per minute", "beats per minute"),
    "dpi": ("d p i", "d p i"), "psi": ("p s i", "p s i"), "ppm": ("part per million", "parts per million"),
    "°C": ("degree celsius", "degrees celsius"), "°F": ("degree fahrenheit", "degrees fahrenheit"),
    "°": ("degree", "degrees"), "%": ("percent", "percent"), "‰": ("per mille", "per mille"),
    "k": ("thousand", "thousand"), "M": ("million", "million"), "bn": ("billion", "billion"),
    "tn": ("trillion", "trillion"),
}  # fmt: skip
"""A unit as one and as many."""
ONLY_AS_WRITTEN: Final = frozenset("M K G B mW MW mV MV in KB mPa MPa mJ MJ mΩ MΩ g s h m".split())
"""Units that are others, or words, in capitals."""
SQUARED: Final = frozenset({"m", "cm", "mm", "km", "ft", "in", "mi", "yd", "µm"})

# ---- money ---------------------------------------------------------------------------------------------------------

MONEY: Final = {
    "$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"), "₽": ("ruble", "rubles", "kopek", "kopeks"),
    "₿": ("bitcoin", "bitcoins", "", ""),
    "₺": ("lira", "lira", "kurus", "kurus"), "₪": ("shekel", "shekels", "agora", "agorot"),
    "₫": ("dong", "dong", "", ""),
    "฿": ("baht", "baht", "satang", "satang"), "₴": ("hryvnia", "hryvnias", "kopek", "kopeks"),
    "₱": ("peso", "pesos", "centavo", "centavos"),
    "US$": ("u s dollar", "u s dollars", "cent", "cents"), "USD": ("u s dollar", "u s dollars", "cent", "cents"),
    "A$": ("australian dollar", "australian dollars", "cent", "cents"),
    "AUD": ("australian dollar", "australian dollars", "cent", "cents"),
    "C$": ("canadian dollar", "canadian dollars", "cent", "cents"),
    "CAD": ("canadian dollar", "canadian dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"), "GBP": ("pound", "pounds", "penny", "pence"),
    "JPY": ("yen", "yen", "sen", "sen"),
    "CHF": ("swiss franc", "swiss francs", "centime", "centimes"), "INR": ("rupee", "rupees", "paisa", "paise"),
    "CNY": ("yuan", "yuan", "fen", "fen"), "RMB": ("yuan", "yuan", "fen", "fen"),
    "KRW": ("won", "won", "jeon", "jeon"), "BRL": ("real", "reals", "centavo", "centavos"),
    "MXN": ("mexican peso", "mexican pesos", "centavo", "centavos"), "ZAR": ("rand", "rand", "cent", "cents"),
    "NZD": ("new zealand dollar", "new zealand dollars", "cent", "cents"),
    "SGD": ("singapore dollar", "singapore dollars", "cent", "cents"),
    "HKD": ("hong kong dollar", "hong kong dollars", "cent", "cents"),
    "SEK": ("swedish krona", "swedish kronor", "ore", "ore"),
    "NOK": ("norwegian krone", "norwegian kroner", "ore", "ore"),
    "DKK": ("danish krone", "danish kroner", "ore", "ore"), "PLN": ("zloty", "zlotys", "grosz", "groszy"),
    "CZK": ("czech koruna", "czech korunas", "haler", "halers"), "HUF": ("forint", "forints", "", ""),
    "THB": ("baht", "baht", "satang", "satang"), "ILS": ("shekel", "shekels", "agora", "agorot"),
}  # fmt: skip
"""One and many of the money and of its hundredth."""
SCALES: Final = {
    "k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion", "t": "trillion",
    "tn": "trillion",
    "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion",
}  # fmt: skip
NOTES: Final = "bill|bills|note|notes|coin|coins|gift|coupon|tip|fee|ticket|tickets|menu"
"""What has its price before it as one: a five dollar bill."""

# ---- signs and letters ---------------------------------------------------------------------------------------------

SIGNS: Final = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "#": "number", "%": "percent", "/": "slash", "°": "degrees",
    "×": "times", "÷": "divided by", "<": "less than", ">": "greater than", "~": "about", "±": "plus or minus",
    "≤": "less than or equal to", "≥": "greater than or equal to", "≠": "not equal to", "≈": "approximately",
    "→": "to", "∞": "infinity", "√": "square root of", "©": "copyright", "§": "section", "№": "number",
    "‰": "per mille",
    "µ": "micro", "\\": "backslash", "^": "caret", "−": "minus", "∑": "sum of", "∫": "integral of", "∂": "partial",
    "∈": "in", "⇒": "implies", "^2": "squared", "^3": "cubed", "²": "squared", "³": "cubed", "′": "prime", "¢": "cents",
    "&amp;": "and", "&lt;": "less than", "&gt;": "greater than",
}  # fmt: skip
CURRENCY_ALONE: Final = {sign: many for sign, (_, many, _, _) in MONEY.items() if len(sign) == 1}
LEFT_IN_ADDRESSES: Final = {
    ".": "dot", "@": "at", "_": "underscore", "-": "dash", "/": "slash", "?": "question mark", "=": "equals",
    "&": "and", "#": "hash", "%": "percent", "~": "tilde", ":": "colon", "+": "plus", ",": "comma", ";": "semicolon",
}  # fmt: skip
ELEMENTS: Final = frozenset(
    """H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb
    Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg
    Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts
    Og""".split()
)
"""Signs of chemical elements."""
GREEK_NAMES: Final = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau "
        "upsilon phi chi psi omega".split(),
        strict=True,
    )
)
WIDE_LETTERS: Final = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "þ": "th", "Þ": "Th", "ŋ": "ng", "Ŋ": "Ng",
    "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "ĳ": "ij", "Ĳ": "Ij",
}  # fmt: skip
FRACTION_SIGNS: Final = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
    "⅙": (1, 6), "⅚": (5, 6), "⅐": (1, 7), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅑": (1, 9),
    "⅒": (1, 10),
}  # fmt: skip
KINGS: Final = frozenset(
    """Henry Louis Elizabeth George Edward Charles James William Richard John Paul Pius Benedict Francis Philip Felipe
    Frederick Friedrich Wilhelm Napoleon Nicholas Alexander Catherine Ivan Peter Leo Gregory Clement Innocent Urban Mary
    Margrethe Gustav Christian Haakon Carlos Ferdinand Otto Ludwig Leopold Albert Ptolemy Ramses Ramesses Thutmose
    Amenhotep Darius Xerxes Mehmed Selim Constantine Robert David Harald Olaf Sigismund Stephen Andrew Harold Joseph
    Victor Emmanuel Umberto Alfonso Pedro Manuel Baldwin Theodosius Justinian Cyrus Artaxerxes Sixtus Julius Boniface
    Celestine Adrian Martin Eugene Sverre Eric Magnus""".split()
)
RULERS: Final = frozenset(
    "Pope King Queen Emperor Empress Tsar Czar Kaiser Sultan Shah Pharaoh Prince Patriarch Saint".split()
)
"""Before the name of somebody who has a number."""
COUNTED: Final = frozenset(
    """War Chapter Part Act Scene Volume Book Section Article Title Type Phase Level Class Stage Grade Episode Bowl
    Round Appendix Figure Table Plate Unit Division Group Step Season Series Tier Factor Mark Apollo Saturn chapter part
    act scene volume book section type phase level stage""".split()
)
"""Words that Roman numbers follow, even I, V and X."""
