"""What surrounds the plots: how a document begins and ends, how characters are introduced, how a
later story recalls an earlier one, and the small things that any plot may mention.

The notation is that of `templates`. A rule whose name ends in a number belongs to the story of that
number: a plot says `<when@>`.
"""

BEGINNING = """
    Two [fables|tales|stories] of {+hero} the {hero.kind} ¶¶ [In {home}, {a home.kind} on the river
    {home.river}, there once lived {a hero.trait} {hero.creature} named {hero}.| {hero} was {a
    hero.trait} {hero.creature} from {home}, {a home.kind} on the river {home.river}.| Where the
    river {home.river} flows past {home.sight} lies {home}, and there lived {hero}, {a hero.trait}
    {hero.creature}.| Long ago, in {home}, {a home.kind} famous for {home.fame}, lived {a
    hero.trait} {hero.creature} called {hero}.] [{He} was {a hero.trade}, lived in {hero.house} and
    {hero.habit}.| {He} had {hero.house} for a home, worked as {a hero.trade} and {hero.habit}.|
    Everybody knew the {hero.trade} in the {hero.coat} who {hero.habit}.| {He} worked as {a
    hero.trade}, wore {a hero.coat} and ate {hero.dish} whenever {he} could.] [Of all {his} things
    {he} loved {his} {hero.thing} best, and {he} was afraid of {hero.fear}.| {He} feared
    {hero.fear}, and nothing was dearer to {him} than {his} {hero.thing}.| {He} never went out
    without {his} {hero.thing}, for {he} was afraid of {hero.fear}.| "{hero.saying}," {he} used to
    say, and {he} was afraid of {hero.fear}.] [{His} best friend was {friend}, {a friend.trait}
    {friend.kind} from {haunt}, {a haunt.kind} with {haunt.sight}.| {friend} the {friend.kind}, {a
    friend.trade} from {haunt} on the river {haunt.river}, was {his} closest friend.| Not far away,
    in {haunt}, {a haunt.kind} known for {haunt.fame}, lived {his} friend {friend}, {a friend.trait}
    {friend.kind}.] [{friend} wore {a friend.coat} and {friend.habit}.| {friend} {friend.habit} and
    feared only {friend.fear}.| {friend} cooked the best {friend.dish} far and wide.|
    "{friend.saying}," was all the advice {friend} ever gave.]
"""

CLOSING = "¶¶ <home> <so-ended> {past1}, and {past2}. <farewell>"


def _introductions(role: str) -> dict[str, str]:
    """`<meet-rival>` comes last in its clause, and the rival enters; `<about-rival>` is the next
    sentence.
    """
    texts = {
        "meet": """
            [{+R}, {a R.trait} {R.creature} from {R.home}|{+R} the {R.kind}, {a R.trade} from
            {R.home}|{+R} from {R.home}, {a R.trait} {R.creature}|{+R}, the {R.trait} {R.trade} from
            {R.home}]
        """,
        "about": """
            [{R.He} wore {a R.coat}, and {R.he} {R.habit}.|{R.He} was the one who {R.habit}.| {R.He}
            lived in {R.house} and was afraid of {R.fear}.| {R.He} carried {a R.thing} and lived on
            {R.dish}.| {R.He} was dressed in {a R.coat} and smelled of {R.dish}.| "{R.saying},"
            {R.he} always said.| Nobody else {R.habit}, and nobody was so afraid of {R.fear}.]
        """,
    }
    return {
        f"{name}-{role}": text.replace("R.", f"{role}.").replace("+R", f"+{role}")
        for name, text in texts.items()
    }


RULES = {
    **_introductions("elder"),
    **_introductions("rival"),
    **_introductions("little"),
    "where-goal": """
        [{goal}, {a goal.kind} known for {goal.fame}|{goal}, {a goal.kind} on the river
        {goal.river}| {goal}, where there is {goal.sight}|{goal}, {a goal.kind} with {goal.sight}]
    """,
    "company": """
        [{+passer} the {passer.kind} and {+host} the {host.kind}|{+passer}, who {passer.habit}, and
        {+host}, who {host.habit}|{+passer} from {passer.home} and {+host} from {host.home}|
        {+passer} the {passer.trade} and {+host} the {host.trade}]
    """,
    "nature": """
        [{:nature}|the {:damp} {:creatures} {:stirred}|the {:damp} {:creatures} {:stirred} <spot>|
        the {:damp} {:herbs} {:swayed}|the {:damp} {:herbs} {:swayed} <spot>]
    """,
    "spot": """
        [{:spot}|3*{:beside} the {:look} {:landmark}]
    """,
    "Spot": "[{:Spot}|2*{:Beside} the {:look} {:landmark}]",
    "path": "[{:path}|3*the {:look} {:road}]",
    "toil": """
        [{:toil}|2*{:toiling} the {:size} {:object}|{:toiling} {:number} {:fruit}]
    """,
    "mishap": "[{:mishap}|{:tripped} {a :look} {:landmark}|{:tripped} {a :size} {:object}]",
    "blunder": "[{:blunder}|2*{:broke} the {:size} {:object}]",
    "meal": "[{:meal}|{:taste} {:fruit}|{:taste} {:fruit} and {:meal}]",
    "drink": "[{:drink}|2*{:hot} {:drink}]",
    "people": "[{:people}|{:number} {:damp} {:folk}|the {:damp} {:folk} of <coin>]",
    "People": "[{:People}|{:Number} {:damp} {:folk}|The {:damp} {:folk} of <coin>]",
    "ending": "[{:ending}|{:tidied} the {:size} {:object} until {:minute} minutes past {:oclock}]",
    "trinket": """
        [{a :size} {:token}|{a :size} {:token} marked {:letter}{:letter}| {a :size} {:token} of
        {:stuff}|{a :plain} {:colour} {:token}]
    """,
    "thing": "[{a :size} {:object}|{a :size} {:object} of {:stuff}|{a :plain} {:colour} {:object}]",
    "food": "{:number} {:taste} {:fruit}",
    "coin": "{:onset}{:rime}{:tail}",
    "pet": "{a :size} {:pet} called <coin>",
    "code": "{:digit}{:digit}{:digit}{:digit}",
    "sight": """
        [<pet>|<trinket>|<food>|<thing>|the {:size} barge <coin>|{a :look} {:landmark}|an inn called
        The {:Size} {:Beast}|a signpost to <coin> and <coin>|{:number} {:colour} {:pet}s]
    """,
    "way": """
        [past {a :look} {:landmark}|past {a :look} {:landmark} and {a :look} {:landmark}|round {a
        :look} {:landmark} and {a :look} {:landmark}]
    """,
    "clock": "At {:minute} minutes [past|to] {:oclock}",
    "clock-lower": "at {:minute} minutes [past|to] {:oclock}",
    "refrain": (
        "{r1:syllable}-{r2:syllable}-{r3:syllable}, {r4:syllable}-{r5:syllable}-{r6:syllable}"
    ),
    "refrain-again": "{r1}-{r2}-{r3}, {r4}-{r5}-{r6}",
    "when1": "[One {:weather} {:hour} in {:season}|One {:weather} {:hour}, when <nature>]",
    "when2": """
        [[A week|A month|Some days|{:Number} days] [later|afterwards], [on {a :weather} {:hour}|when
        <nature>|one {:hour} in {:season}]|In the {:weather} {:season} that followed]
    """,
    "recall2": """
        [They spoke of {past1}, when {hero} {deed1}|{hero} thought of {past1}, when {he} {deed1}|
        {friend} was reminded of {past1}, when {hero} {deed1}|Nobody had forgotten {past1}].
    """,
    "home": """
        [That night, in {hero.house} in {home}, {hero} <ending>.| They had {hero.dish} and <drink>
        for supper, and then {hero} <ending>.| {friend} went home to {haunt} by <path>, and {hero}
        <ending>.| At home in {home} {hero} put {his} {hero.thing} on the shelf beside <trinket>,
        and <ending>.| {He} hung {his} {hero.coat} on a hook, ate {hero.dish} with <food>, and
        <ending>.| And {hero}, who {hero.habit}, said {:manner}: "{hero.saying}." Then {he}
        <ending>.]
    """,
    "so-ended": """
        [So ended|Those were|In {home} they still tell of|{friend} often told <people> of]
    """,
    "farewell": """
        [{hero} and {friend} stayed friends as long as they lived.| And if {hero} has not moved,
        {he} still lives in {hero.house} in {home}.| And {hero} still says: "{hero.saying}."| And to
        this day {friend} is afraid of {friend.fear}.| And {his} {hero.thing} still stands on the
        shelf in {hero.house}.]
    """,
}
