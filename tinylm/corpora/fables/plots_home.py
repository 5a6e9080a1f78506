"""Plots at home: guests, songs, quarrels, work, secrets and night watches."""

from tinylm.corpora.fables.templates import Plot

SHARING = Plot(
    "The winter of the {f:fruit}",
    "the winter of the {f}",
    """
    [That year winter came early|Winter came, and it was hard|Then came a long winter], and snow lay
    {:few} feet deep <spot>. In {hero.house} there were <sum> {:taste} {f}, <trinket> and <thing>,
    and nothing else. "[That must last until the thaw|That will have to do|No one shall have a bite
    of it]," {:said} {hero} {:manner}.
    ¶ <clock> there was a knock. Outside, {:feeling} and {:feeling}, stood <meet-elder>.
    <about-elder> "I have walked {:distance}, past <sight>, <sight> and <sight>," {:said} {elder}
    {:manner}, "and eaten nothing but <meal>."
    ¶ [{hero} gave {elder} {gave} {f}, so that {left} were left, <drink>, and a bed beside the
    stove. In the morning {elder} was gone, but there lay {a z:size} {g:object}, <trinket>, and a
    note: "For the {gave} {f}." In March {he} sold the {g} to {+guest} of {guest.home} for <food>
    and <food>. {!deed had given {gave} of them to {elder}} <recall@>
    ¶ Moral: [What you give comes back to you.|Kindness is never lost.|A shared pantry is never
    empty.|The cold is less cold for two.]| "I have only a few," {:said} {hero}, and shut the door.
    {He} counted to {:number}, and to {:number}, and could not sleep. Then {he} ran out {:haste},
    and found {elder} <spot>, beside <sight>. {He} gave {elder.him} {gave} {f}, and {left} were
    left. "I came late," {:said} {hero} {:manner}. "You came," {:said} {elder}, and gave {him}
    <trinket> and <pet>. {!deed had run out into the snow after {elder}} <recall@>
    ¶ Moral: [A closed door can be opened again.|Who cannot sleep should ask the heart why.|It is
    never too late to be kind.|A late good deed is still a good deed.]]
    """,
)

DOOR = Plot(
    "Three at the door",
    "the three at the door",
    """
    <when@>, {hero} was <toil> when there was a knock. First came <meet-elder>, who asked for {a
    z1:size} {g1:object}. Next came <meet-rival>, who wanted {a z2:size-z1} {g2:object-g1}. Last
    came <meet-little>, who begged for {a z3:size-z1-z2} {g3:object-g1-g2}. "[You will have them
    back on|Only until|We shall bring them back on] {d:weekday}," {:said} all three {:manner}.
    ¶ [{hero} gave {elder} the {g1}, {rival} the {g2} and {little} the {g3}. "You will never see
    them again," {:said} {friend} {:manner}. But on {d} they came: {elder} with the {z1} {g1} and
    <food>, {rival} with the {z2} {g2} and <pet>, and {little} with the {z3} {g3} and <trinket>.
    They all stayed for {hero.dish} and <drink>, and sang "<refrain>."{!deed had lent three things
    and got back six} <recall@>
    ¶ Moral: [Trust is the best lock.|What you lend gladly comes home with company.|An open hand is
    soon filled.|Lend, and you have neighbours.]| "I need them all," {:said} {hero} {:manner}, and
    kept the {g1} from {elder}, the {g2} from {rival} and the {g3} from {little}. On {d} {his} own
    shed {:event}, and <food>, <thing> and <trinket> lay in the mud. {hero} asked for help at
    {elder}'s, at {rival}'s and at {little}'s, and all three came {:adverb}. <clock> {he} carried
    over the {z1} {g1}, the {z2} {g2} and the {z3} {g3}. {!deed had kept everything and been helped
    all the same} <recall@>
    ¶ Moral: [Some day you will be the one who knocks.|Things keep you no company.|Forgive first,
    and the other will learn.|Who shuts a door shuts it from both sides.]]
    """,
)

SONG = Plot(
    "The singing contest <spot>",
    "the singing contest",
    """
    <when@>, {people:people} held a singing contest. The prize was {p:prize}, <food> and <trinket>.
    {hero} had a song, but {he} [had never sung for others|had a small voice|blushed when anyone
    listened|was {:feeling} and {:feeling}]. First sang <meet-rival>. <about-rival> {rival} wore {a
    :colour} cloak with {:number} {:token} buttons, sang of {a :size} {:beast} and of Queen <coin>,
    and held the top note for {:minute} breaths.
    ¶ [{hero} put on {a :colour} cloak too, with {:number} {:token} buttons, and {:slip}. <company>
    laughed until {:laughter}. "Sing as you sing when you are <toil>," {:said} {friend} {:manner}.
    {hero} took off the cloak and sang:
    ¶ <couplet>, <refrain>!
    ¶ One could hear {:quiet}. {hero} did not win, but for {:number} days all of {home} hummed:
    "<refrain-again>!"{!deed had borrowed a cloak and then taken it off} <recall@>
    ¶ Moral: [Sing your own song.|A borrowed cloak warms nobody's voice.|Plain and true is better
    than grand and false.|Be small, but be yourself.]| {hero} {:gesture}, held on to {his}
    {hero.thing}, looked at {friend} and at nobody else, and sang {:adverb}:
    ¶ <couplet>, <refrain>!
    ¶ One by one {people} joined in, and then <company>: "{rhyme}, <refrain-again>!" {rival} kept
    time with <trinket>. {hero} shared {p} with {friend}, and gave <trinket> to {rival}. {!deed had
    sung for {friend} alone} <recall@>
    ¶ Moral: [Sing for one who loves you, and all will listen.|A small voice carries far in a quiet
    place.|Do it shaking, but do it.|Courage begins with one friendly face.]]
    """,
)

QUARREL = Plot(
    "The quarrel about {a item:object}",
    "the quarrel about the {item}",
    """
    <when@>, {hero} and {friend} found {a z:size} {item} <spot>, between <sight> and <sight>. "[I
    saw it first|It is mine|I shall carry it home]," {:said} {hero} {:manner}. "[No, I do not think
    so|You always say that|Over my dead body]," {:said} {friend} {:manner}. They pulled until it
    broke in two. "You are as {r:rude} as {a x:beast}!" cried {friend}. "And you are as {:rude-r} as
    {a :beast-x}!" cried {hero}. {friend} went home by <path>, and {hero} by <path>, <way>.
    ¶ [For <sum> days they did not speak. {hero} was {:feeling} for {gave} days, and sad for {left}.
    {He} tried <toil>, then <toil>; {he} cooked <food>, and they had no taste. <Spot> {he} met
    <meet-little>. <about-little> "Why alone?" asked {little} {:manner}. {hero} took {his} half and
    <trinket>, ran {:haste}, and met {friend} half way with the other half and <trinket>. {!deed had
    been proud for {gave} days and sad for {left}} <recall@>
    ¶ Moral: [A friend is worth more than a find.|Half a thing is no use, nor half a friendship.|The
    first to say sorry is the stronger.|Pride is poor company.]| <Spot> first {friend} and then
    {hero} met <meet-elder>. <about-elder> "What did you want it for?" asked {elder} {:manner}. "To
    give it to {friend}, with <food>," {:said} {hero}. And {friend} had said: "To give it to {hero},
    with <trinket>." {elder} laughed until {:laughter}. They mended the {z} {item} with {:colour}
    string and <trinket>, and used it in turns, {:few} days each.{!deed had wanted it for {friend}}
    <recall@>
    ¶ Moral: [Ask before you shout.|Many a quarrel is a gift that tripped.|Who listens can mend more
    than glue.|Say what you mean to give.]]
    """,
)

WORK = Plot(
    "The {work:work} of {home}",
    "the {work} of {home}",
    """
    <when@>, the {work} of {home}, built by old <coin>, {:event}. <People> stood about, {:feeling}
    and {:feeling}. Then three helpers came: <meet-elder>, <meet-rival>, and <meet-little>. "I bring
    {a z1:size} {g1:object}," {:said} {elder} {:manner}. "And I {a z2:size-z1} {g2:object-g1},"
    {:said} {rival} {:manner}. "And I {a z3:size-z1-z2} {g3:object-g1-g2}," {:said} {little}
    {:manner}.
    ¶ [They argued for {:minute} minutes about which was best. Then {hero} {:gesture} and {:said}
    {:manner}: "First the {g1}, then the {g2}, then the {g3}." So {elder} began, {rival} went on,
    and {little} finished, while {friend} brought <food> and <drink>. In {:number} hours it was
    done. {!deed had told each one when to begin} <recall@>
    ¶ Moral: [Many hands need one plan.|Everyone is best at something.|First things first, and all
    things get done.|Order is half of the work.]| {hero} wanted to do it alone. {He} took the {z1}
    {g1}, the {z2} {g2} and the {z3} {g3}, <blunder>, <blunder>, and <blunder>. "May we?" asked
    {elder} {:manner}. {hero} nodded. So {elder} took the {g1}, {rival} the {g2} and {little} the
    {g3}, and {friend} cooked <food>. In {:number} hours it was done, and on it they painted {a
    :colour} {:beast}. {!deed had wanted to do it all alone} <recall@>
    ¶ Moral: [Alone you are slow, together you are many.|To let others help is half the work.|No one
    has hands enough.|The proud work long.]]
    """,
)

SECRET = Plot(
    "The secret of {+little}",
    "the secret of {little}",
    """
    <when@>, {hero} was <toil> <spot> when {little}, {a little.trait} {little.creature} from
    {little.home}, sat down beside {him}. <about-little> {little} told {him} a secret, that
    {little.he} {secret:secret}, and gave {him} {a z:plain} {c:colour} {k:token} to seal it.
    ¶ Next day {hero} had <drink> and <food> with {friend} and <people>. "What did {little} want?"
    asked {friend} {:manner}. [The secret itched like {a :plain} {:colour} sock. "{little}
    {secret}," {:said} {hero} {:manner}. At {:minute} minutes past {:oclock} all of {home} knew, and
    {little} ran away. {hero} looked <spot>, where {he} found <sight>, and then <spot>, beside
    <sight>. "Here is a secret of mine," {he} {:said} {:manner}. "I am afraid of {hero.fear}."
    {little}, {:feeling} and {:feeling}, kept it to {little.himself}.{!deed had told what was not
    {his} to tell} <recall@>
    ¶ Moral: [A secret told is a bird let out.|A word cannot be called back.|Keep for others what
    you want kept for you.|The tongue is small and does great harm.]| "{little} gave me {a z} {c}
    {k}," {:said} {hero} {:manner}, and no more. They guessed that {little} {g1:secret-secret}, that
    {little.he} {g2:secret-secret-g1}, and that {little.he} {:secret-secret-g1-g2}. {hero} hummed
    "<refrain>." <clock> {little} came with <food> and <sight>. "I shall tell them myself," {:said}
    {little} {:manner}, "because you did not." {!deed had been silent as a stone} <recall@>
    ¶ Moral: [A kept secret keeps a friend.|Silence is a gift too.|Who can be silent will be told
    more.|Trust grows where talk stops.]]
    """,
)

BOAST = Plot(
    "The {item:object} for {+elder}",
    "the {item} for {elder}",
    """
    <when@>, {elder}, {a elder.trait} {elder.creature} from {elder.home}, came to {hero.house}.
    <about-elder> {elder} wanted {a z:size} {item} of {:stuff} by {:weekday}, with {:number}
    {c:colour} {:token} knobs and {a w:beast} on it. "[I could do it with one hand|I could do it in
    my sleep|I am the best {hero.trade} in {home}|Nothing is easier]," {:said} {hero} {:manner}.
    "May I help?" asked {friend} {:manner}.
    ¶ ["I need no help," {:said} {hero}, and played {g:game}, and {:game-g}, with <trinket>, until
    the last night. Then {he} <blunder>, and {he} <blunder>, and the {w} looked like {a :beast-w}.
    "I boasted," {:said} {hero}, {:feeling} and {:feeling}. {He} began again at once, {friend} held
    <trinket> and <thing>, and in {:number} hours it was done. {elder} paid with <food>. {!deed had
    boasted and begun too late} <recall@>
    ¶ Moral: [Boasting finishes nothing.|The work shows the master.|Begin early, and you need no
    excuse.|Help refused in the morning is missed at night.]| "Yes," {:said} {hero} {:manner}.
    {friend} {:gesture}, and lent {him} <thing>. On the first day {he} <blunder>. On the second day
    {he} <blunder>. On the third day, <clock-lower>, humming "<refrain>," {he} got it right, {c}
    knobs, {w} and all. {elder} looked at it {:adverb} and paid with {:prize}, <trinket> and
    <food>.{!deed had failed twice and got it right the third time} <recall@>
    ¶ Moral: [Mistakes are the stairs to the roof.|Pride asks nobody and learns nothing.|The third
    try stands on the first two.|Say yes to help.]]
    """,
)

WATCH = Plot(
    "The night watch over the {f:fruit}",
    "the night watch over the {f}",
    """
    <when@>, {hero} was asked to guard {k:number} {:taste} {f} <spot> until the clock struck
    {h:oclock}. "[If anyone comes|If you see a thief|If you need us], ring the {z:size} bell {q:few}
    times," {:said} <people> {:manner}. {hero} took <meal>, <drink>, <trinket> and {his}
    {hero.thing}. It was dark, and <nature>.
    ¶ [For fun {he} rang the {z} bell {q} times. <company> came {:haste}, with <thing> and <thing>.
    "A joke," {:said} {hero} {:manner}. {:Minute} minutes later {he} rang it again, and laughed
    until {:laughter}. Then <meet-rival>, really came, with {a :fullbag} sack, <trinket> and <pet>.
    {hero} rang and rang, and {friend} turned over in bed. In the morning only {:few} of the {k} {f}
    were left.{!deed had rung the bell for fun} <recall@>
    ¶ Moral: [Who jokes with the bell will ring in vain.|A false alarm is a loan that must be
    paid.|Nobody believes the third cry.|Trust is spent faster than pennies.]| Then something
    {n:noise}, and {:noise-n}, beside <sight>. But before {he} rang, {he} held up <thing> and
    looked. It was <meet-rival>. <about-rival> "I have lost my way to {rival.home}," {:said} {rival}
    {:manner}. They shared <meal>, sang "<refrain>," and played {:game} with <trinket> until {h}
    struck. None of the {k} {f} was missing.{!deed had held up a light before {he} rang} <recall@>
    ¶ Moral: [Look first, and then ring.|In the dark every bush is a thief.|Light is better than
    noise.|Half of every ghost is a neighbour.]]
    """,
)

PLOTS = (SHARING, DOOR, SONG, QUARREL, WORK, SECRET, BOAST, WATCH)
