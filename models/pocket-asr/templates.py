"""Sentences of many kinds from patterns: commands, questions, interface words, numbers, dates, names. `{slot}` is drawn from a
list or made by a function; `[a|b]` is one of several, `[a|]` may be left out."""
import re
from functools import cache

LISTS = {
    "name": "james mary john anna robert linda michael susan david karen peter laura thomas emma daniel sarah mark julia paul alice kevin helen "
            "brian nancy george ruth edward carol frank diane henry jane walter rose arthur grace jack lucy harry sophie oliver chloe ethan maria "
            "carlos ahmed priya ravi wei yuki omar fatima ivan olga hans greta pierre claire diego sofia",
    "surname": "smith johnson brown taylor miller wilson moore anderson jackson white harris martin thompson garcia clark lewis walker hall allen "
               "young king wright scott green baker adams nelson hill campbell mitchell roberts carter phillips evans turner parker collins edwards "
               "stewart morris murphy cook rogers morgan cooper peterson reed bailey kelly howard ward cox richardson wood watson brooks bennett gray",
    "city": "london|paris|new york|chicago|boston|dallas|houston|seattle|denver|atlanta|miami|phoenix|berlin|madrid|rome|vienna|dublin|moscow|tokyo|"
            "sydney|toronto|montreal|vancouver|los angeles|san francisco|washington|manchester|edinburgh|oxford|cambridge|lisbon|athens|cairo|delhi|"
            "bombay|beijing|shanghai|singapore|hong kong|mexico city|buenos aires|philadelphia|detroit|cleveland|pittsburgh|portland|las vegas|new orleans",
    "country": "england france germany spain italy canada mexico brazil japan china india russia poland sweden norway ireland scotland wales greece "
               "turkey egypt australia america holland belgium austria switzerland portugal argentina kenya",
    "day": "monday tuesday wednesday thursday friday saturday sunday",
    "month": "january february march april may june july august september october november december",
    "colour": "red green blue yellow white black brown orange purple pink gray dark light silver golden",
    "food": "bread|butter|cheese|milk|coffee|tea|an apple|some soup|a sandwich|rice|chicken|fish|an egg|a salad|chocolate|ice cream|potatoes|tomatoes|"
            "a glass of water|orange juice|a cup of tea|fresh fruit|pasta|a pizza|a slice of cake|honey|beans|onions",
    "animal": "dog cat horse cow sheep bird fish mouse rabbit fox wolf bear lion tiger elephant monkey snake frog duck chicken pig goat deer",
    "place": "house garden kitchen office school library station airport hospital market church park bridge river street beach forest mountain village "
             "town museum theater hotel restaurant bank shop factory farm garage bathroom bedroom basement harbor lake island field square",
    "thing": "book table chair door window lamp box bag cup plate knife spoon key clock letter picture phone computer radio camera car bicycle train "
             "boat ship plane bus truck coat hat shoe shirt dress ring rope hammer nail wheel engine bottle basket blanket mirror ladder paper pencil "
             "newspaper ticket stone stick ball drum bell flag map umbrella candle pipe wire board tool machine",
    "adjective": "old new big small long short heavy light dark bright clean dirty hot cold warm cool wet dry soft hard quick slow loud quiet rich poor "
                 "strong weak early late happy sad angry tired hungry busy empty full open closed broken simple strange beautiful ugly cheap expensive "
                 "round flat sharp smooth rough deep wide narrow thin thick sweet sour fresh young wooden",
    "adverb": "quickly slowly quietly loudly carefully suddenly often never always sometimes usually again today tomorrow yesterday soon now later "
              "together alone outside inside upstairs downstairs early late finally certainly probably",
    "job": "doctor nurse teacher farmer driver lawyer soldier sailor painter writer singer actor manager engineer scientist student waiter cook judge "
           "captain policeman secretary president minister professor carpenter mechanic pilot gardener merchant servant",
    "person": "man woman boy girl child baby brother sister mother father uncle aunt friend neighbor king queen stranger son daughter husband wife cousin",
    "pronoun": "i you he she we they",
    "verbed": "took found bought sold lost carried opened closed dropped broke painted cleaned moved watched wanted needed left brought gave threw "
              "caught held kept pulled pushed touched turned saw heard liked hated forgot remembered sent received built drew used hid showed",
    "went": "walked ran went drove came looked flew climbed jumped traveled hurried marched rode wandered moved returned",
    "preposition": "in on under behind near beside above below across through around into inside outside over against between past toward from",
    "object": "file folder window document page tab picture message email photo video password account setting program project image table column row "
              "line word paragraph list menu link bookmark browser screen desktop printer keyboard mouse microphone camera speaker network connection "
              "update download attachment calendar contact note reminder playlist song volume brightness font background toolbar button dialog cursor "
              "selection clipboard terminal command directory drive disk backup server database spreadsheet presentation profile device battery",
    "act": "open close save delete copy paste move rename print share send find search select remove add create edit change show hide refresh reload "
           "download upload install cancel stop start pause resume lock unlock minimize maximize duplicate export import check clear reset restore "
           "replace highlight insert read describe enable disable pin mute archive forward",
    "app": "mail|the calendar|the calculator|the browser|the terminal|the settings|the editor|the music player|the camera|the file manager|the clock|"
           "the map|the task manager|the control panel|the app store|the photo viewer|the address book|the text editor|the weather app|the notes",
    "error": "connection refused|permission denied|file not found|access denied|out of memory|invalid password|the disk is full|no such file or "
             "directory|network unreachable|operation timed out|the server did not respond|unknown error|syntax error|page not found|login failed|"
             "the update could not be installed|the battery is low|this device is not supported|the request was cancelled|segmentation fault",
    "weather": "rain snow sun wind fog thunder clouds storm frost sunshine hail drizzle",
    "unit": "meters feet miles inches kilometers pounds kilograms grams ounces liters gallons hours minutes seconds days weeks months years degrees "
            "percent dollars euros cents pages people bytes kilobytes megabytes gigabytes",
    "room": "kitchen|bedroom|living room|bathroom|hallway|garage|office|dining room|garden|basement",
    "appliance": "lights|heating|fan|radio|television|alarm|lamp|air conditioner|music|oven|washing machine|coffee machine|heater|speaker|sprinkler",
    "letter": "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "digit": "zero one two three four five six seven eight nine oh",
    "key": "enter escape space tab shift control alt delete backspace home end insert pound star return",
}
FAMILIES = {
    "command": [
        "[please |]{act} [the|this|that|my|your|all|every] {object}[ please|]", "{act} {object}", "{act} the {adjective} {object}", "[open|close|start|quit|launch] {app}",
        "{act} [the|] {ordinal} {object}", "go [back|forward|up|down|left|right|home|to the next page|to the previous page|to the top|to the end]",
        "scroll [up|down|left|right|to the bottom|to the top|a little]", "press [the|] {key}[ key| button| to continue| to cancel|]", "click [on|] [the|] {object}[ button|]",
        "turn [on|off|up|down] the {appliance}[ in the {room}|]", "switch the {appliance} [on|off]", "set [a|the] [timer|alarm] for {time}",
        "set the [volume|brightness|temperature|heating] to {n100}[ percent| degrees|]", "remind me to [call|email|visit|meet|pay] {name} [at {time}|on {day}|tomorrow|next week]",
        "call {name} {surname}", "send a message to {name}", "play [some music|the next song|the last song|my playlist|the news|something else]", "[stop|pause|repeat|continue|cancel|undo|redo|help|quit|again|louder|quieter|slower|faster|next|previous|yes|no|okay|exit|back|ready|done|wait|hello|goodbye|thank you|never mind|not now|go on]",
        "read [the|this|that] [page|paragraph|line|message|screen|title|error|text] [aloud|again|to me|slowly|]", "what [is|does] [this|that|it] [mean|say|called|on the screen]",
        "find [the|all|every] {object} [called|named|with|from] {name}", "type {word} {word} {word}", "spell {word}", "select [all|none|everything|the {ordinal} line|the last word]",
        "move the {object} to the [left|right|top|bottom|desktop|trash|next screen]", "make [it|the text|the {object}] [bigger|smaller|darker|brighter|bold|{colour}]", "zoom [in|out]"],
    "screen": [
        "the {object} [is|was|has been] [saved|deleted|closed|opened|copied|moved|updated|changed|downloaded|installed|removed|selected]", "error, {error}", "{error}",
        "the {object} could not be [opened|saved|found|deleted|loaded|printed|read|copied]", "a [new|] {object} [appeared|opened|is loading|was added]", "the {object} shows {number} {object}s",
        "there [is|are] {number} [new messages|unread emails|open windows|tabs|items|errors|warnings|files] [in the {object}|on the screen|]", "do you want to {act} [the|this] {object}?",
        "are you sure you want to {act} {number} {object}s?", "{n100} percent [complete|done|charged|of the disk is used]", "{number} of {number} [files|items|pages|steps]", "the [build|test|download|update|backup|upload|installation] [failed|finished|started|succeeded|is running] [after {number} seconds|]",
        "version {digit} point {digit}[ point {digit}|]", "[loading|saving|connecting|searching|please wait|checking for updates|logging in|signing out|starting up|shutting down]", "the cursor is [on|in] the {object}",
        "a [dialog|window|menu|message] [asks|says|shows] [whether to {act} the {object}|that the {object} is {adjective}]", "the {object} button is [disabled|selected|highlighted|grayed out]", "line {number}, column {number}"],
    "phone": [
        "please [hold|wait|stay on the line|try again later|speak after the tone|leave your name and number]", "[your|the] call [is important to us|will be answered soon|has been transferred|was disconnected|cannot be completed]", "press {digit} [for|to reach|to speak to] [sales|support|billing|the manager|reception|the front desk|an agent|{name}]",
        "the number is {phone}", "you have {n20} [new|old|saved|urgent] messages", "my [number|account number|extension|code|order number] is {phone}", "[good morning|good afternoon|good evening], [how can i help you|this is {name} speaking|{surname} and sons]", "the office is [open|closed] [on {day}|until {time}|for lunch|today]",
        "enter [the|your] [number|code|password|name|date of birth][ now| again|]", "[thank you for calling|goodbye|one moment please|i'll call you back|can you hear me|who is calling|wrong number]", "the [line|number|person] you [called|dialed|want] is [busy|not available|not in service]"],
    "number": [
        "{number}", "{number} and {number}", "{number} {unit}", "{ordinal}", "{phone}", "{digit} {digit} {digit} {digit}", "{decimal} {unit}", "{number} [plus|minus|times|divided by] {number} [is|equals] {number}", "page {number}", "chapter {n100}", "room {number}", "{money}", "it costs {money}",
        "the [price|total|bill] is {money}", "{n20} {unit} and {n20} {unit}", "[about|nearly|more than|less than|at least|exactly] {number} {unit}", "{n20} [thirds|quarters|halves|tenths]", "number {number}", "between {number} and {number} {unit}", "from {number} to {number}", "{letter} {letter} {letter}", "{letter} {digit} {letter} {digit}", "{letter} as in {word}"],
    "time": [
        "[it is|it's|] {time}", "[at|by|before|after|until] {time}", "{date}", "on {day} [the {dayth} of {month}|{month} {dayth}|morning|evening|afternoon]", "in {year}", "[since|until|before|after|during|around] {year}", "[next|last|every|this] [{day}|week|month|year|{month}]", "{number} [minutes|hours|days|weeks|years] [ago|later|from now|before]", "the [meeting|train|flight|game|show|class|party] [is|starts|ends] at {time}", "what time [is it|does the {place} open|did {name} arrive]?",
        "[half past|quarter past|quarter to] {hour}", "[today is|tomorrow will be|yesterday was] {day}[ the {dayth}|]", "he was born [in {year}|on {date}]", "from {month} to {month}", "the [first|second|third|last] {day} in {month}"],
    "question": [
        "[where|when|why|how] did {pronoun} [go|find the {thing}|leave the {place}|meet {name}|lose the {thing}|come home|learn that]?", "[what|who] is [in|on|behind|under|near] the {thing}?", "[can|could|will|would] you [help me|tell me the time|open the {thing}|bring me {food}|come here|wait for {name}|show me the {place}|say that again]?", "do you [like|want|have|know|need|remember|see] [{food}|the {thing}|that {place}|my {person}|any {thing}s]?", "is the {thing} {adjective}?", "how [many|much] [{thing}s|time|money|people|{food}] [do we need|are there|is left|did you buy]?", "what is the [weather|temperature] [in {city}|like today|tomorrow]?", "which {thing} is yours?",
        "have you [ever|] [been to {city}|seen the {place}|met {name}|read this {thing}|eaten {food}]?", "why is the {animal} so {adjective}?", "how far is it [to {city}|from {city} to {city}|to the {place}]?", "where is the [nearest|] {place}?", "are {pronoun} going to [{city}|the {place}] [on {day}|tomorrow|]?", "what did the {job} say?", "is there a {thing} [in|near|behind] the {place}?"],
    "story": [
        "the {adjective} {animal} {went} {preposition} the {place}", "{name} {verbed} the {thing} and {went} to the {place}", "{pronoun} {verbed} a {adjective} {thing} {preposition} the {place}", "the {job} {verbed} {number} {thing}s in {month}", "my {person} {went} to {city} [last {day}|in {year}|by train|by car|]", "[a|the] {adjective} {thing} [was|stood|lay] {preposition} the {adjective} {thing}", "there was [a lot of|no|some] {weather} in {city}", "she {adverb} {verbed} the {thing}", "he is a {adjective} {job} from {country}", "they live in a {adjective} {place} near {city}",
        "we had {food} and {food} for [lunch|dinner|breakfast|supper]", "the {thing} [is|was|looks|seemed|became] [very|too|quite|rather|] {adjective}", "{name} and {name} {went} {preposition} the {place} {adverb}", "the {person} with the {colour} {thing} {verbed} the {animal}", "it was so {adjective} that {pronoun} {went} home", "if it [rains|snows] {pronoun} will stay in the {place}", "{name} {surname} is [the|a|our] {adjective} {job}", "the {animal} and the {animal} {went} {preposition} the {place} and {preposition} the {place}",
        "when the {job} {went} into the {place}, the {person} {verbed} the {thing}", "[put|leave|keep|drop|place] the {thing} {preposition} the {thing}", "{pronoun} {verbed} the {thing} because it was {adjective}", "the {colour} {thing} and the {colour} {thing}", "in {country} the {place}s are {adjective}", "i [think|believe|know|hope|guess|said] that the {job} {verbed} the {thing}", "a {adjective} {person} {verbed} {food} {preposition} the {place}", "the {thing} of the {job} was {preposition} the {place}"],
    "talk": [
        "[yes|no|well|okay|sure|right|oh|so|um|maybe], [i think so|i don't know|that's right|let's go|it's fine|i'm not sure|we'll see|you're right|that's not what i meant|i can't|he won't|she didn't]", "i [am|was|will be] {adjective}[ and {adjective}|] [today|now|again|]", "[could|can|may] i [have|see|borrow|use] [the|your|that] {thing}[ please|]?", "[i'd|we'd|they'd|she'd] like [{food}|a {thing}|to go to {city}|to see the {place}]", "[don't|please don't|never] [touch|move|forget|lose|open] the {thing}", "[what a|such a] {adjective} {thing}", "that's [a|the] [most|] {adjective} {thing} [i've ever seen|]",
        "let me [know|see|think|try|check the {object}|call {name}]", "[it's|that's|this is|here is] [my|your|his|her|our|their] {thing}", "[i'm|you're|he's|she's|we're|they're] [going|coming|staying|waiting|working|living] in {city}", "[isn't|wasn't|doesn't] [it|that] {adjective}?", "thank you [very much|for the {thing}|{name}|so much for your help]", "[nice|good|great] to [meet|see] you[, {name}|]", "[sorry|excuse me], [i didn't hear you|where is the {place}|is this {thing} yours|what did you say]", "[i've|we've|they've] [already|never|just] [seen|been to|heard about] [the {place}|{city}|that {thing}]", "[happy birthday|merry christmas|good luck|good night|see you {day}|take care|welcome back]"],
}
WEIGHTS = {"command": 5, "screen": 3, "phone": 2, "number": 3, "time": 3, "question": 4, "story": 6, "talk": 4}
WORDS = "alpha bravo charlie delta echo apple banana house river music yellow window seven garden paper table winter summer number".split()


def made(rng, slot):
    from text import ONES, cardinal, ordinal, year  # noqa: PLC0415
    hour = lambda: ONES[rng.randint(1, 12)]  # noqa: E731
    match slot:
        case "n20":
            return cardinal(rng.randint(1, 20))
        case "n100":
            return cardinal(rng.randint(1, 100))
        case "number":
            return cardinal(rng.choice((rng.randint(0, 20), rng.randint(0, 100), rng.randint(0, 1000), rng.randint(0, 10000), 100 * rng.randint(1, 90), 1000 * rng.randint(1, 900))))
        case "ordinal":
            return ordinal(rng.choice((rng.randint(1, 12), rng.randint(1, 100))))
        case "dayth":
            return ordinal(rng.randint(1, 31))
        case "year":
            return year(rng.choice((rng.randint(1900, 2030), rng.randint(1400, 2030))))
        case "hour":
            return hour()
        case "decimal":
            return cardinal(rng.randint(0, 100)) + " point " + " ".join(ONES[rng.randint(0, 9)] for _ in range(rng.choice((1, 1, 2))))
        case "phone":
            return " ".join(rng.choice(LISTS["digit"].split()[:10]) for _ in range(rng.choice((3, 4, 5, 7, 10))))
        case "money":
            cents = rng.choice(("", " and " + cardinal(rng.randint(2, 99)) + " cents", " " + cardinal(rng.randint(10, 99))))
            return cardinal(rng.choice((rng.randint(2, 100), rng.randint(2, 5000)))) + rng.choice((" dollars", " dollars", " pounds", " euros")) + cents
        case "time":
            minute = rng.choice(("", " o'clock", " " + cardinal(rng.randint(10, 59)), " oh " + ONES[rng.randint(1, 9)], " fifteen", " thirty"))
            return hour() + minute + rng.choice(("", "", " a m", " p m", " in the morning", " in the evening"))
        case "date":
            month, day = rng.choice(LISTS["month"].split()), ordinal(rng.randint(1, 31))
            return rng.choice((f"{month} {day}", f"the {day} of {month}", f"{month} {day}, {made(rng, 'year')}"))
        case "word":
            return rng.choice(WORDS + LISTS["thing"].split() + LISTS["adjective"].split())
    return None


@cache
def listed(slot):
    text = LISTS[slot]
    return text.split("|") if "|" in text else text.split()


def fill(rng, pattern):
    while "[" in pattern:  # innermost first
        pattern = re.sub(r"\[([^\[\]]*)\]", lambda m: rng.choice(m[1].split("|")), pattern)
    text = re.sub(r"\{(\w+)\}", lambda m: made(rng, m[1]) or rng.choice(listed(m[1])), pattern)
    text = re.sub(r"\b(a) (?=[aeiou])", "an ", re.sub(r"\s+", " ", text))
    return re.sub(r"\s+([,.?!])", r"\1", text).strip(" ,")


def sentences(rng, count):
    kinds = list(WEIGHTS)
    for _ in range(count):
        kind = rng.choices(kinds, [WEIGHTS[k] for k in kinds])[0]
        text = fill(rng, rng.choice(FAMILIES[kind]))
        yield kind, text if text.endswith("?") or rng.random() < 0.4 else text + "."
