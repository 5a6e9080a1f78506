"""Lists of phrases that templates draw from: what one does and how, where and when.

Phrases that a template puts in one place of a sentence share a list, so that any of them fits.
"""

from tinylm.corpora.fables.facts import listed

PHRASES = {
    "nature": listed(
        "a cuckoo called from the wood, the swallows flew low, the mill wheel creaked, a cart "
        "rattled past, the bees were at the clover, smoke rose from the chimneys, the geese were "
        "loud in the meadow, a blackbird sang on the roof, the brook ran high, the leaves were "
        "turning, dew lay on the nettles, the wind smelled of hay, a dog barked far away, someone "
        "was chopping wood, the poplars whispered, the puddles shone like coins, a kite hung over "
        "the fields, the cows were lowing, crickets sang in the ditch, a rainbow stood over the "
        "hill, the washing flapped on the lines, the reeds bent and hissed, a baker's boy ran by, "
        "the snails were out, an owl hooted twice, the ferns were full of light, the sheep came "
        "down the hill, thistledown drifted by, a window banged somewhere, the ducks slept on the "
        "bank, the road was white with dust, the lilacs smelled sweet, mushrooms stood in rings, "
        "chestnuts dropped in the lane, the river was full of sky, a woodpecker knocked, the hills "
        "were blue, gnats danced over the pond, a barge went slowly by, the cherry trees were in "
        "flower, fresh bread was cooling on the sills, a cock crowed at the wrong time, the ivy "
        "rustled, the moon was still up, spiders were spinning in the hedge, the post coach was "
        "late, a feather floated down, the frogs began their concert, the weathercock turned "
        "north, someone was practising the trumpet, the plums were ripe, a donkey brayed on the "
        "common, the shutters were painted blue, rain dripped from the gutters, the goats were on "
        "the roof, the air tasted of salt, two crows were arguing, the lamps were being lit, the "
        "dandelions had gone grey, a hay cart blocked the lane"
    ),
    "spot": listed(
        "under the old elm, by the mill pond, behind the big barn, at the edge of the wood, beside "
        "the river, in the apple orchard, near the stone bridge, in the tall reeds, below the "
        "church tower, at the end of the lane, among the ferns, by the empty well, under the "
        "blackberry hedge, beyond the wheat field, by the salt marsh, next to the bakery, on the "
        "hay wagon, by the broken fence, behind the beehives, in the walled garden, on the ferry "
        "landing, at the crossroads, under the wash house roof, in the rose bed, on the lowest "
        "step, beside the lime kiln, under the big umbrella, in the turnip patch, by the horse "
        "trough, at the top of the ladder, between two haystacks, behind the inn, at the forest "
        "gate, near the deep quarry, on the green, in the goat shed, under the hazel bush, by the "
        "signpost, in the cabbage rows, at the bend of the stream, behind the chapel, on the "
        "drawbridge, beside the bandstand, under the walnut tree, in the boathouse, near the toll "
        "gate, on the school wall, by the pump, in the hayloft, below the waterfall, at the foot "
        "of the stairs, among the tombstones, in the bean field, beside the sundial, behind the "
        "woodpile, under the bridge, on the lawn, in the cellar door, by the duck pond, near the "
        "rabbit fence, in the shade of the wall, on the village bench, at the garden gate, under "
        "the cherry tree, beside the milestone, behind the stove"
    ),
    "manner": listed(
        "softly, at once, with a sigh, with a smile, slowly, after a while, in a low voice, "
        "kindly, with a frown, without looking up, firmly, eagerly, in surprise, at last, quickly, "
        "gravely, very quietly, cheerfully, with a nod, over one shoulder, almost in a whisper, "
        "proudly, with a cough, sadly, with a laugh, sleepily, in a hurry, gently, hoarsely, "
        "dryly, warmly, coldly, politely, shyly, bravely, stiffly, timidly, gloomily, merrily, "
        "solemnly, lightly, thoughtfully, anxiously, calmly, crossly, drowsily, earnestly, "
        "faintly, fondly, gladly, grandly, gruffly, hastily, humbly, innocently, loudly, mildly, "
        "modestly, nervously, patiently, playfully, sharply, simply, sternly, stubbornly, sweetly, "
        "tenderly, wearily, wisely, with a wink, with a yawn, with a shrug, with a bow, with both "
        "hands in the air, between two sneezes, with crumbs on one cheek, from behind a "
        "handkerchief, and stood up, and sat down, and looked away, as if to the wind, for the "
        "third time, with a grin"
    ),
    "adverb": listed(
        "slowly, quickly, carefully, bravely, calmly, eagerly, gladly, grimly, happily, hastily, "
        "lightly, meekly, patiently, politely, proudly, quietly, sadly, silently, softly, stiffly, "
        "stubbornly, timidly, wearily, gently, solemnly, nimbly, clumsily, merrily, drowsily, "
        "briskly, gracefully, shyly, steadily, thoughtfully, warmly, wordlessly"
    ),
    "feeling": listed(
        "glad, sorry, hungry, tired, cross, cold, hopeful, ashamed, worried, lonely, puzzled, "
        "jealous, merry, restless, thirsty, nervous, sleepy, wide awake, bored, homesick, "
        "cheerful, tearful, impatient, hot, anxious, calm, confused, curious, dizzy, dusty, "
        "excited, furious, gloomy, grateful, grumpy, guilty, hoarse, light-hearted, miserable, "
        "muddy, out of breath, proud, relieved, sad, shy, sore, stiff, sulky, surprised, uneasy, "
        "weary, wet"
    ),
    "toil": listed(
        "sweeping the yard, peeling potatoes, mending a net, stacking firewood, hanging out the "
        "washing, darning a stocking, feeding the hens, picking beans, oiling a hinge, painting "
        "the fence, sorting lentils, watering the lettuce, patching a sail, shelling peas, "
        "whitewashing the wall, raking leaves, sharpening a scythe, filling the lamps, cleaning "
        "the windows, planting leeks, carrying water, folding sheets, churning butter, plucking "
        "thistles, counting spoons, beating the carpet, tying up the roses, turning the hay, "
        "writing a letter, shaking the plums, airing the quilts, baking rolls, blacking the stove, "
        "bottling cherries, clearing the gutter, combing wool, digging up carrots, drying herbs, "
        "greasing the axle, ironing collars, knitting a sleeve, labelling jars, laying bricks, "
        "making candles, milking the goat, mopping the stairs, picking nettles, polishing shoes, "
        "pressing cider, pruning the pear tree, rinsing bottles, salting fish, scrubbing the "
        "table, setting traps, sewing on buttons, skimming milk, sowing radishes, stirring jam, "
        "stuffing a cushion, weeding the path, winding yarn"
    ),
    "mishap": listed(
        "slipped on the moss, tore a sleeve on a thorn, stepped into a puddle, took the wrong "
        "turning, sank into the mud, was stung by a nettle, lost a shoe, bumped into a signpost, "
        "met a bull on the path, fell over a root, got caught in a bramble, walked in a circle, "
        "was soaked by a shower, startled a flock of geese, dropped the lunch in a ditch, broke a "
        "walking stick, had to wade through a ford, sat down on an anthill, was held up by a flock "
        "of sheep, stumbled over a sleeping dog, got a stone in one boot, was chased by a gander, "
        "lost a hat to the wind, rolled down a bank, had a fit of hiccups, swallowed a fly, was "
        "splashed by a coach, sneezed for a mile, split a seam, lost count of the miles, got lost "
        "in a maize field, tripped over a cat, missed the ferry, was hit by an apple, fell through "
        "a fence, had a sore heel, walked into a cobweb, scraped a knee, lost a button, forgot the "
        "way twice"
    ),
    "event": listed(
        "fell down in a storm, caught fire in the night, was washed away by the flood, cracked "
        "from top to bottom, sank into the mud, lost its roof, was crushed by a falling elm, "
        "rotted away, was struck by lightning, broke in two, was eaten by beetles, tipped over, "
        "was carried off by the wind, gave way with a groan, crumbled like cake, leaned over and "
        "fell"
    ),
    "haste": listed(
        "like the wind, like a rolling barrel, like a startled cat, like a spark, in great leaps, "
        "with flying heels, like a goose downhill, as if bees were behind, like a kite in March, "
        "at a gallop, like water from a jug, like an arrow, like a boy late for school, at full "
        "tilt, like a loose wheel, like a leaf in a storm, two steps at a time, like a dropped "
        "ball, without a hat, like gossip"
    ),
    "calm": listed(
        "like an old clock, like a cart horse, one step after another, like a snail with a plan, "
        "without once sitting down, like the hands of a clock, with even steps, like a slow river, "
        "as one climbs stairs, like a donkey going home, step by step by step, like falling snow, "
        "like a barge, at a steady pace, as oil runs, like someone counting, with both eyes on the "
        "road, like a procession, no faster than before, like a monk"
    ),
    "secret": listed(
        "could not swim, could not read yet, still slept with a toy lamb, had never seen the sea, "
        "was afraid of the new teacher, wrote poems at night, had broken the big window, was in "
        "love with the moon, had eaten the whole cake, wanted to be a dancer, had a tame spider, "
        "talked to a tree, was saving up for a trumpet, had lost the goat's bell, did not like "
        "honey, had never won a game, had been kissed at the fair, could not whistle, cried at the "
        "puppet show, had let the hens out, kept a mouse in the drawer, was an orphan, had spelled "
        "the teacher's name wrong, dreamed of a castle, had hidden a bad school report, snored, "
        "could not tie a bow, meant to sail round the world, had planted a coin to grow a tree, "
        "liked thunder, wore odd socks, was building a boat"
    ),
    "ending": listed(
        "slept soundly, watched the moon rise, hung up the lantern, wrote it all down, lit a fire "
        "and sat close to it, put the kettle on, looked at the stars for a while, fell asleep "
        "before supper, told it to the cat, danced a little in the kitchen, opened all the "
        "windows, ate three helpings of supper, laughed about it in bed, left the door unlocked, "
        "swept the floor and hummed, counted the beams until sleep came, drew a picture of it, "
        "wound up the clock, washed both socks, stared into the embers, sang to the teapot, "
        "whistled up the stairs, baked a small cake, dreamed of geese, sat on the step until dark, "
        "wrote a long letter, shook out the rug, blew out the candle, slept until noon the next "
        "day, ate an apple in the dark, listened to the rain, polished a spoon and smiled, hung a "
        "wreath on the door, brushed off the dust, read two pages and slept, planted a bean, "
        "patched the coat, turned the mattress, took a hot bath, played one tune on the comb"
    ),
    "merchant": listed(
        "gleamed like a new moon, played a tune by itself, smelled of cinnamon, was lined with "
        "silk, was set with red stones, had belonged to a queen, never needed cleaning, shone in "
        "the dark, came from over the sea, was worth a whole farm, brought good luck, was the last "
        "of its kind, kept out the rain, knew the future, made soup taste better, had been blessed "
        "by a bishop, was a hundred years old, cured a cough, never rusted, was painted by a "
        "master, weighed nothing at all, had crossed a desert on a camel, made thieves sneeze, "
        "sang in the sun"
    ),
    "flaw": listed(
        "the gold paint came off, the handle broke, it began to smell of fish, the bottom fell "
        "out, it turned green, it crumbled like a biscuit, the colours ran, a spring jumped out, "
        "the moths flew out of it, it was full of sawdust, a crack ran right across it, it shrank "
        "to half its size, it went off with a bang, it folded up and would not open, the varnish "
        "melted, it fell into eleven pieces, it bent like wax, a nail stuck out of it, it gave a "
        "rattle and died, the glue gave way"
    ),
    "blunder": listed(
        "burnt the first board, dropped the second nail, cut everything too short, spilled the "
        "glue, mixed up left and right, forgot the most important part, measured once and cut "
        "twice, put the lid on upside down, tied a knot that nobody could undo, sawed off the "
        "wrong end, lost the only good screw, sat down on the finished piece, hammered a thumb, "
        "broke the best tool, glued one sleeve to the bench, painted the cat by mistake, stepped "
        "into the paint, read the plan upside down, used cheese for wax, nailed the door shut, let "
        "the fire go out, swept the small parts away, wedged the window, bent every pin"
    ),
    "recently": listed(
        "yesterday, this morning, last week, on Monday, on Tuesday, on Wednesday, on Thursday, on "
        "Friday, on Saturday, on Sunday, a fortnight ago, last night, a month ago, at Easter, "
        "before the rain, three days ago, four days ago, five days ago"
    ),
    "hurt": listed(
        "had twisted an ankle, had stepped on a thorn, had fallen into a ditch, had sprained a "
        "knee, had run into a gate, had been stung by wasps, had tripped over a root, had slipped "
        "on a stone, had a cramp in one leg, had swallowed a wasp, had lost a boot, had been "
        "butted by a goat"
    ),
    "price": listed(
        "two pennies, three pennies, four pennies, five pennies, six pennies, seven pennies, a "
        "song, a handshake, half a crown, an old coin, a silver penny, next to nothing, a kiss on "
        "the cheek, eight pennies, nine pennies, a good joke"
    ),
    "howlong": listed(
        "an hour, a day, two days, three days, four days, five days, six days, a week, a "
        "fortnight, a month, half an hour, an afternoon"
    ),
    "gesture": listed(
        "took a deep breath, looked at the clouds, sat down on a stone, thought for a moment, "
        "stood on one leg, put down the basket, came closer, picked a blade of grass, drew a "
        "circle in the sand, leaned on the fence, winked, stretched, yawned, knelt down, blinked "
        "at the sun, chewed a straw, folded a handkerchief, hummed two notes, nodded slowly, "
        "pulled up one sock, scratched one ear, shook out a sleeve, sneezed, tapped on the wall"
    ),
    "laughter": listed(
        "the windows shook, the birds flew up, the bench creaked, it hurt, the tears came, the "
        "cows looked round, the hat fell off, the echo joined in, the candles went out, a dog "
        "began to bark, the dust rose, the neighbours came out"
    ),
    "slip": listed(
        "sang the second verse first, began much too high, rhymed queen with cabbage, tripped on "
        "the hem, lost the tune in the middle, mixed up the dragon and the queen, got the hiccups, "
        "stopped after six words, sneezed on the top note, swallowed the last line, sang the "
        "refrain twice, called the queen Gertrude, forgot to breathe, came in too early, hummed "
        "where the words were gone, crowed like a cock"
    ),
    "noise": listed(
        "rustled, creaked, sighed, snapped, scratched, shuffled, splashed, clinked, growled, "
        "hissed, rattled, whimpered, coughed, crackled, grunted, knocked, moaned, panted, scraped, "
        "sneezed, squeaked, stamped, thumped, wheezed"
    ),
    "quiet": listed(
        "a feather fall, the candles burn, the snails in the lettuce, the river at the mill, a "
        "mouse chew, the clock in the tower, an apple drop, the bees asleep, the grass grow, a "
        "button roll, the spiders spin, the bread rise"
    ),
    "said": listed(
        "said, remarked, declared, announced, murmured, muttered, called, exclaimed, observed, "
        "mumbled, added, whispered, blurted out"
    ),
    "damp": listed(
        "damp, drowsy, pale, noisy, silent, wild, lazy, bold, shy, old, young, tired, thirsty, "
        "happy, sad, little, great, fat, lean, grey, brown, green, golden, dark, bright, last, "
        "first, cheerful, gloomy, patient, nervous, proud, humble, dusty, gentle, fierce, lonely, "
        "plump, quiet, merry"
    ),
    "stirred": listed(
        "stirred, slept, woke up, called, came home, flew off, made a noise, sat in a row, fell "
        "silent, looked up, were restless, were hungry, began to sing, gathered, scattered, stood "
        "still, huddled together, wandered off, were nowhere to be seen, went round and round, "
        "quarrelled, waited, came and went, took no notice, were out early, drank, played, danced"
    ),
    "swayed": listed(
        "swayed, rustled, were in flower, turned yellow, shone, dripped, smelled sweet, bent low, "
        "trembled, stood tall, whispered, cast long shadows, were white with frost, caught the "
        "light, were full of bees, began to sprout, had grown high, nodded, glowed, hung down"
    ),
    "beside": listed(
        "beside, behind, near, a stone's throw from, in front of, to the left of, to the right of, "
        "opposite, close to, a mile from, in the shadow of, just past"
    ),
    "toiling": listed(
        "mending, painting, polishing, washing, oiling, dusting, carrying, moving, repairing, "
        "sketching, scrubbing, selling, hiding, weighing, testing, tuning, wrapping, measuring, "
        "patching, cleaning, packing, burying, drying, admiring, sorting out, inspecting, "
        "counting, guarding, delivering, unloading"
    ),
    "tripped": listed(
        "tripped over, bumped into, fell over, ran into, got lost behind, walked twice round, fell "
        "off, slid down, was held up by, knocked a knee on, was frightened by, stumbled over"
    ),
    "broke": listed(
        "broke, dropped, lost, burnt, flattened, bent, split, stained, jammed, tore off, blocked, "
        "cracked, upset, scratched, swallowed part of, sat on"
    ),
    "tidied": listed(
        "polished, mended, painted, dusted, washed, tuned, admired, drew, guarded, searched for, "
        "cleaned, oiled, practised on, read about, dreamed of, wrapped up"
    ),
}
