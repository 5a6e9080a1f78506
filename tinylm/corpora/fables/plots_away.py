"""Plots that lead away from home: things lost, races, errands, markets, bargains and riddles."""

from tinylm.corpora.fables.templates import Plot

LOST = Plot(
    "The lost {item:object}",
    "the lost {item}",
    """
    <when@>, {hero} came home from {t1:toiling} the {t2:size} {t3:object-item}, and {his} {:size}
    {item} was gone. [{He} looked <spot> and <spot>, and found <trinket> and <sight>.| It was not
    <spot>, nor <spot>, where <thing> lay beside <trinket>.| Out of the drawers came <trinket>,
    <thing> and <food>. {He} ran to look <spot> and <spot>.] "[I cannot do without it|Things do not
    walk|Who would take it|It was here {:recently}]!" {:said} {hero} {:manner}.
    ¶ [Along <path> came|Just then <clock-lower>, there came|Round the corner came] <meet-rival>,
    with {a :fullbag} bag. <about-rival> ["[Open|Put down|Show me|Hand over] that bag!"
    [cried|shouted|screamed|yelled] {hero}. Out rolled <food> and <trinket>, and no {item}. Then
    {friend} came, <way>. "You lent it to me {:recently}," {:said} {friend} {:manner}. {hero}
    [turned red|hung {his} head|wished to be a stone|had no words], and gave {rival} <food> and
    <trinket>.{!deed had blamed {rival} for nothing} <recall@>
    ¶ Moral: [Look well before you blame.|Ask first and accuse last.|A hard word is quickly said and
    slowly forgiven.|Suspicion sees a thief in every bush.]| "Four eyes see more than two," {:said}
    {rival} {:manner}. They went <way>, and found <sight>, and <sight>. They looked <spot>, and
    found <thing>. They looked <spot>, and there lay the {item}: {hero} had been {t1} the {t2} {t3}
    there {:recently}. For joy they ate <food>, and {hero} gave {rival} <trinket>.{!deed had
    searched side by side with {rival}} <recall@>
    ¶ Moral: [Four eyes see more than two.|What is lost alone is found together.|A stranger who
    helps you look is a stranger no more.|Go back the way you came, and you will find it.]]
    """,
)

RACE = Plot(
    "The race to {+goal}",
    "the race to {goal}",
    """
    <when@>, {hero} and {friend} sat <spot> over <meal> and <drink>. Along came <meet-rival>.
    <about-rival> "[Nobody|No {hero.kind}|Not one of you] can [outrun|beat|overtake] me," {:said}
    {rival} {:manner}. "[Race me|Let us race|I dare you to race] to <where-goal>! The prize is
    {p:prize}, <food> and <trinket>." {hero} {:gesture}, and {:said} {:manner}: "I shall try."
    ¶ <clock> {rival} ran off {:haste}, wearing number <code>, and {hero}, number <code>, went
    {c:calm}, <way>. [Half way there {rival} stopped to play {:game} with <company>, drank <drink>
    and fell asleep <spot>. {hero} <mishap>, then <mishap>, but {he} went on, past <sight>, <sight>
    and <sight>. When {rival} woke up, {:feeling} and {:feeling}, {hero} was in {goal}, holding {p}.
    {!deed had gone {c} and won} <recall@>
    ¶ Moral: [Slow and steady goes far.|The race is not over when you are ahead.|Who naps on the way
    comes second.|Small steps add up.]| <Spot>, near <sight>, {he} came upon {rival}, who {:hurt}.
    "Run on and win," {:said} {rival} {:manner}. But {hero} tied up the leg with {a :colour} ribbon
    and <trinket>, and arm in arm they came to {goal}, singing "<refrain>." <People> cheered
    {:adverb}, and {p} was cut in two with <thing>.{!deed had stopped to help {rival}} <recall@>
    ¶ Moral: [It is better to arrive together than to win alone.|A helping hand is worth more than a
    prize.|Who stops for another is never last.|A rival in need is a neighbour.]| {friend} had drawn
    a short cut on <thing>: <way>, <way>, and left at <sight>. {hero} held it upside down, <mishap>,
    then <mishap>, and came out <spot>, where {he} had begun. In {goal} sat {rival} on {p},
    {:feeling} and {:feeling}, eating <food>. {!deed had lost the way by a short cut} <recall@>
    ¶ Moral: [A short cut is often the longest way.|A map is no use to one who does not look
    twice.|Better a known road than a clever one.|Who saves a mile may lose a day.]]
    """,
)

FEAR = Plot(
    "{hero} and {hero.fear}",
    "the visit to {haunt}",
    """
    <when@>, {friend} fell ill in {haunt}. {hero} packed <food>, <food> and {d:drink}, and went
    along <path>, past <sight>, <sight> and <sight>. But then {he} stood still: ahead was what {he}
    feared most, {hero.fear}. "[I cannot go on|This is as far as I go|Not one step more|Why was I
    not born a stone]," {he} {:said} {:manner}.
    ¶ <Spot>, [playing with|polishing|talking to] <trinket>, sat <meet-little>. <about-little> ["I
    am afraid of {little.fear}," {:said} {little} {:manner}. "You look out for mine, and I look out
    for yours." So they went hand in hand, <way>, and sang:
    ¶ <couplet>, <refrain>!
    ¶ <clock> they were in {haunt}. {friend} drank the {d} {:adverb}, and was well in {:number}
    hours.{!deed had walked hand in hand with {little}} <recall@>
    ¶ Moral: [Two who are afraid make one who is brave.|A song makes a long road short.|Courage is
    easier to carry for two.|Share your fear, and you will have half.]| "And what will {friend} eat
    if you turn back?" asked {little} {:manner}. {hero} held {his} {hero.thing} tight, gave {little}
    <trinket>, and sang:
    ¶ <couplet>, <refrain>!
    ¶ And {he} went {:calm}, past {hero.fear}, past <sight>, all the way to {haunt}. "Were you not
    afraid?" asked {friend} {:manner}. "I was," {:said} {hero}. "I am still." {!deed had walked past
    {hero.fear}} <recall@>
    ¶ Moral: [The brave are afraid and go on.|Think of the one who waits, and your feet will
    move.|Fear is a wall with a door in it.|Love walks in front of fear.]| "That is nothing,"
    {:said} {little} {:manner}. But {hero} turned back, <way>, and ate <meal>, and was {:feeling}
    and {:feeling}. <clock> {he} set out again, with <trinket> and <sight> for {friend}, and this
    time {he} did not stop. "I am late," {he} {:said} {:manner}. "You are here," {:said}
    {friend}.{!deed had turned back and then set out again} <recall@>
    ¶ Moral: [It is never too late to try again.|Better brave tomorrow than never.|A friend counts
    the coming and not the delay.|The second step is the one that counts.]]
    """,
)

PROMISE = Plot(
    "The promise of the {item:object}",
    "the promise of the {item}",
    """
    <when@>, {friend} wrote {a :plain} {:colour} letter: "[Mine has broken|I have lost mine|<People>
    have taken mine|Mine went to <coin>]. Can you bring your {item} at {h:oclock}?" {hero} wrote
    back {:adverb}: "I promise."
    ¶ {He} took the {:size} {item}, and <trinket> for {friend}, and went by <path>, past <sight> and
    <sight>. <Spot> sat <meet-rival>. <about-rival> "Stay a little," {:said} {rival} {:manner}. "We
    have <food> and <drink>, and <company> are here for {g:game}." [{hero} stayed for one game of
    {g}, and then for {:few} more, lost <trinket> and won <thing>. When {he} looked up, the clock
    struck {h}. {He} ran {:haste}, and <mishap>. {friend} was {:feeling} and {:feeling}. For
    {:number} days {he} came to help with <toil> and with <toil>, until {friend} smiled. {!deed had
    played {g} and come too late} <recall@>
    ¶ Moral: [A promise is a debt.|One game more is one game too many.|A word is quickly broken and
    slowly mended.|What you promise, do it first.]| "I gave my word," {:said} {hero} {:manner}. {He}
    <mishap>, then <mishap>, but {he} walked on {:calm}, <way>, and hummed "<refrain>." As the clock
    struck {h}, {he} was there. {friend} {:gesture}, and gave {him} {friend.dish}, <trinket> and
    <sight>.{!deed had kept {his} word} <recall@>
    ¶ Moral: [A true word is worth more than gold.|First the promise, then the play.|Who keeps a
    promise keeps a friend.|Pleasure can wait, and trust cannot.]]
    """,
)

MARKET = Plot(
    "Market day in {+goal}",
    "market day in {goal}",
    """
    <when@>, {friend} sent {hero} to <where-goal>, for {k1:number} {n1:fruit}, {k2:number}
    {n2:fruit-n1} and {a z:size} {g:object}. {hero} could not write, so {he} [sang|said|hummed] it
    along <path>, past <sight> and <sight>: "Oh, {k1} {n1}, {k2} {n2} and {a z} {g}."
    ¶ At the gate stood <meet-little>, with <sight>. <about-little> "Come and see the {s:show}, and
    the {:show-s}!" {:said} {little} {:manner}. [{hero} laughed until {:laughter}, and lost the
    thread. "{x1:Number} {n3:fruit-n1-n2}," {he} {:said} {:manner}, "{:number} {n4:fruit-n1-n2-n3},
    and something {:size}." {friend} {:gesture}, and sent {him} back, <way>, for {k1} {n1}, {k2}
    {n2} and {a z} {g}, and for {a :plain} {:colour} pencil to write it down. {!deed had brought
    {n3} in place of {n1}} <recall@>
    ¶ Moral: [Write it down.|Who looks at everything brings home nothing.|One errand at a time.|A
    head full of fair has no room for the list.]| "Afterwards," {:said} {hero} {:manner}. {He}
    bought {k1} {n1} from {+guest} the {guest.kind}, {k2} {n2} from {+host} of {host.home}, and {a
    z} {g} <spot>, for {:price}. Only then {he} saw the {s}, and <sight>, and won <trinket> with
    ticket <code>. "Yes, {k1} {n1}, {k2} {n2} and {a z} {g}," counted {friend} {:adverb}.{!deed had
    forgotten nothing} <recall@>
    ¶ Moral: [First the errand, then the fair.|Say it often and you will keep it.|A good memory is a
    good servant.|Duty done makes the music sweeter.]]
    """,
)

BARGAIN = Plot(
    "The bargain over the {item:object}",
    "the bargain over the {item}",
    """
    <when@>, {a :colour} cart came down <path>, loaded with <thing>, <thing> and <food>. On it sat
    <meet-rival>. <about-rival> "This {z:size} {item}," {:said} {rival} {:manner}, "{m:merchant}, it
    {m2:merchant-m}, and it {:merchant-m-m2}. Give me your {hero.thing} for it. [Choose now|I leave
    at {:oclock}|Tomorrow it may be gone|{+guest} of {guest.home} wants it too]."
    ¶ [{hero} gave away {his} {hero.thing}, and for {:number} minutes {he} was the happiest
    {hero.kind} in {home}. Then {:flaw}. {friend} came {:haste}, dried {his} tears with <thing>, and
    walked with {him} after the cart, past <sight> and <sight>. {rival} gave back the {hero.thing}
    for <food>, <trinket> and <trinket>.{!deed had traded away {his} {hero.thing}} <recall@>
    ¶ Moral: [All that glitters is not gold.|You know what you had when it is gone.|Never choose in
    a hurry.|The loud seller has a quiet reason.]| {hero} asked for a day to think, left <trinket>
    for a pledge, and carried it to {haunt}, <way>. {friend} {:gesture}, knocked on it with
    <trinket>, and at once {:flaw}. "My {hero.thing} does not shine," {:said} {hero} {:manner}, "but
    I know what it is worth." <clock> {rival} drove off, {:feeling} and {:feeling}, to sell <thing>
    to <company>.{!deed had asked for a day to think} <recall@>
    ¶ Moral: [Sleep on a bargain.|Two heads are better than one.|What you love is not for sale.|A
    good thing can wait for your answer.]]
    """,
)

RIDDLE = Plot(
    "The riddle at {+goal}",
    "the riddle at {goal}",
    """
    <when@>, {hero} and {friend} went to <where-goal>, to fetch {a :size} {item:object}, past
    <sight>, <sight> and <sight>, and {friend} <mishap>. At gate number <code> sat <meet-elder>.
    <about-elder> "[Nobody gets in without|You may pass for the price of|I open the gate to one who
    solves|First you must answer] a riddle," {:said} {elder} {:manner}. "<riddle>"
    ¶ ["Is it {w:wrong}, or {w2:wrong-w}? Is it {w3:wrong-w-w2}, or {:wrong-w-w2-w3}?" asked {hero}
    all at once. {friend} {:gesture}, and whispered: "Count to {:number}." {hero} shut both eyes and
    counted, humming "<refrain>." "It is {answer}," {he} {:said} {:manner}. Behind the gate were the
    {item}, <food> and <trinket>.{!deed had guessed many times and thought once} <recall@>
    ¶ Moral: [Think first and speak after.|Quick answers are cheap.|A quiet head hears more.|Silence
    is the mother of good answers.]| "I am only {a hero.trade}," {:said} {hero} {:manner}, "and I do
    not know, but I like to learn." {elder} {:gesture} and moved over. They ate <food>, looked at
    <trinket> and <pet>, and talked about {elder.fear} and {hero.fear}. <clock> {elder} {:said}
    {:manner}: "It is {answer}. The {item} is yours, because you asked."{!deed had said that {he}
    did not know} <recall@>
    ¶ Moral: [Not to know is no shame.|Who asks will be let in.|An honest no opens more gates than a
    clever guess.|To learn, begin with an empty cup.]]
    """,
)

PLOTS = (LOST, RACE, FEAR, PROMISE, MARKET, BARGAIN, RIDDLE)
