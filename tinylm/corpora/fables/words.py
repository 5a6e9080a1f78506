"""Lists of words that templates draw from; with the phrases, all lists by their names."""

from tinylm.corpora.fables.facts import COLOURS, MATERIALS, listed
from tinylm.corpora.fables.phrases import PHRASES

_TENS = listed("twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety")
_ONES = listed("one, two, three, four, five, six, seven, eight, nine")
_TEENS = listed(
    "ten, eleven, twelve, thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen"
)
NUMBERS = (
    *_ONES,
    *_TEENS,
    *(word for ten in _TENS for word in (ten, *(f"{ten}-{one}" for one in _ONES))),
)  # one to ninety-nine
_PEOPLE = listed(
    "the neighbours, the children, the old ones, the musicians, the market women, the bakers, the "
    "millers, the shepherds, the schoolchildren, the washerwomen, the sailors, the guests, the "
    "travellers, the farmers, the weavers, the fiddlers, the twins, the pedlars, the cousins, the "
    "shopkeepers, the carters, the gardeners, the choir, the firemen, the nuns, the beekeepers, "
    "the bell ringers, the haymakers, the dancers, the pilgrims, the clerks, the fishermen, the "
    "brass band, the cooks, the tailors, the orphans, the aunts, the uncles, the night watchmen, "
    "the apprentices"
)

LISTS = {
    **PHRASES,
    "weather": listed(
        "windy, misty, frosty, golden, grey, rainy, still, bright, cloudy, chilly, mild, warm, "
        "pale, breezy, damp, clear, stormy, sunny, soft, raw, gloomy, fresh, hazy, cool, blustery, "
        "drowsy, glorious, dreary, sultry, lovely, dull, hot, foggy, moist, quiet, radiant, "
        "sleepy, silvery, gusty, wet"
    ),
    "hour": listed(
        "morning, afternoon, evening, day, Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, "
        "Sunday, market day, washing day, holiday"
    ),
    "season": listed(
        "spring, summer, autumn, March, April, May, June, July, August, September, October, "
        "November, harvest time, haymaking time, early spring, late summer, late autumn, midsummer"
    ),
    "size": listed(
        "small, big, heavy, light, thin, round, long, old, new, shiny, dented, cracked, fine, "
        "plain, painted, dusty, crooked, pretty, strange, rusty, sturdy, delicate, tiny, battered, "
        "blue, red, green, yellow, white, black, brown, grey, purple, orange, golden, silver, tin, "
        "wooden, brass, copper, iron, bent, borrowed, broad, carved, cheap, chipped, clumsy, "
        "costly, curved, elegant, enormous, faded, fancy, forgotten, gleaming, greasy, handsome, "
        "hollow, lopsided, lovely, massive, mended, mossy, narrow, odd, patched, polished, quaint, "
        "ragged, rare, scorched, scratched, secondhand, slender, smooth, speckled, spotless, "
        "sticky, striped, stubby, tarnished, tidy, ugly, useful, varnished, wobbly, worn, "
        "wonderful, wrinkled"
    ),
    "object": listed(
        "kettle, ladder, basket, clock, umbrella, hammer, mirror, chair, violin, bucket, blanket, "
        "lamp, saw, teacup, almanac, birdcage, candlestick, cushion, fishing rod, frying pan, "
        "hourglass, ink bottle, jug, kite, loom, mousetrap, needle, oar, picture frame, quilt, "
        "rocking chair, saddle, telescope, trumpet, vase, wheelbarrow, trunk, toolbox, tablecloth, "
        "sundial, stool, sieve, scythe, rope, purse, plough, pillow, notebook, nutcracker, milk "
        "churn, magnifying glass, letter opener, lock, doorbell, cradle, corkscrew, bookcase, "
        "bathtub, anvil, anchor, accordion, weathercock, rolling pin, coffee mill, songbook, snow "
        "shovel, spade, apron, armchair, atlas, axe, bagpipe, banner, barometer, barrel, beehive, "
        "bell, bench, boot, bottle, bowl, breadknife, broom, brush, butter dish, cage, candelabra, "
        "canoe, cello, chain, chessboard, chest, chisel, clarinet, cleaver, coal scuttle, coffee "
        "pot, comb, cookbook, crate, cupboard, curtain, dictionary, doormat, drill, drum, dustpan, "
        "easel, egg timer, fan, feather duster, fiddle, file, flag, flowerpot, flute, footstool, "
        "fork, funnel, garden hose, globe, grater, guitar, hammock, harness, harp, hatbox, hoe, "
        "horn, jigsaw puzzle, knapsack, ladle, lantern, lampshade, lawn roller, lid, mandolin, "
        "map, mattress, measuring tape, mop, mortar, mug, music stand, nail, net, paddle, "
        "paintbrush, pan, parasol, pitchfork, plank, plate, pot, pulley, rake, razor, reel, rug, "
        "sack, scale, scissors case, screwdriver, shelf, shovel, sledge, spoon rack, spinning "
        "wheel, tambourine, teapot, tent, thermometer, tongs, torch, towel, tray, trowel, tuning "
        "fork, vice, walking stick, wardrobe, washboard, watering can, whisk, wrench, zither"
    ),
    "token": listed(
        "button, ribbon, marble, feather, acorn, pebble, coin, seashell, pencil, bead, stamp, "
        "ticket, postcard, hairpin, nutshell, clover leaf, chestnut, candle end, walnut, hook, "
        "buckle, badge, dried rose, tassel, cork, spoon handle, bootlace, fishbone, pine cone, "
        "cherry stone, peppercorn, chess pawn, sugar lump, snail shell, paper boat, hazel twig, "
        "horseshoe, bit of chalk, bobbin, knucklebone, amulet, bottle cap, brooch, burr, catkin, "
        "charm, cockle, crayon, crumb, cufflink, die, domino, eggshell, envelope, fossil, glass "
        "eye, glove, gold tooth, hinge, jewel, key ring, label, locket, match, medal, mussel, "
        "needle case, nib, oak leaf, paper clip, pearl, pin, playing card, plum stone, pocket "
        "knife, quill, rag, reed pipe, rubber band, safety pin, scrap of lace, screw, shirt stud, "
        "skate key, splinter, spring, thimble, toffee, tooth, toy hat, watch chain, wax seal, "
        "whistle, wishbone"
    ),
    "fruit": listed(
        "pears, plums, apples, cherries, figs, quinces, walnuts, peaches, radishes, turnips, "
        "onions, carrots, eggs, rolls, biscuits, pancakes, gooseberries, mushrooms, chestnuts, "
        "beans, lemons, herrings, sausages, dumplings, tarts, potatoes, leeks, almonds, melons, "
        "pretzels, apricots, artichokes, beets, buns, cabbages, candles, cauliflowers, cheeses, "
        "cucumbers, currants, dates, doughnuts, garlic bulbs, grapes, hazelnuts, jam jars, "
        "kippers, lentils, lettuces, limes, macaroons, marrows, meringues, mulberries, muffins, "
        "oat cakes, oranges, oysters, parsnips, peas, pickles, pies, pumpkins, raisins, "
        "raspberries, rosehips, scones, shrimps, strawberries, sunflowers, tomatoes, trout, "
        "truffles, waffles, waxed cheeses, yams"
    ),
    "taste": listed(
        "ripe, sweet, sour, fresh, cold, hot, soft, hard, tiny, huge, dried, salted, buttered, "
        "wrinkled, juicy, golden, spotted, frozen, fine, splendid, burnt, sugared, peppered, "
        "shiny, stolen, homemade, crisp, sticky, bitter, blue, famous, fragrant, greenish, plump, "
        "rosy, smoked, spicy, stale, tender, warm"
    ),
    "meal": listed(
        "bread and cheese, cold soup, a boiled egg, two apples, a bit of pie, dry biscuits, a bag "
        "of nuts, bread and honey, a slice of ham, a handful of cherries, three plums, cheese and "
        "onions, a raw carrot, a cold pancake, half a cabbage, berries and cream, toast and jam, a "
        "stale bun, a pot of porridge, a smoked fish, a jar of pickles, a bowl of rice, beans on "
        "toast, a meat pie, a sack of peas, a pear tart, mustard sandwiches, a wedge of cake, "
        "fried potatoes, a bunch of radishes, four dumplings, liver sausage, a heel of bread, "
        "turnip mash, a tin of sardines, sour milk, a bunch of grapes, hard cheese, roast apples, "
        "a honeycomb, an onion tart, six oysters, a bowl of cherries, plum dumplings, dry toast"
    ),
    "path": listed(
        "the sunken lane, the cart track, the river path, the high road, the forest road, the long "
        "dyke, the field path, the ridge, the sheep track, the canal, the sandy road, the edge of "
        "the moor, the avenue of limes, the stony valley, the coast path, the long hedge, the "
        "vineyard steps, the marsh road, the mill stream, the pilgrims' way, the beech wood, the "
        "salt road, the drovers' trail, the garden wall, the chalk hill, the gorge, the tow path, "
        "the heath, the railway bank, the orchard lane, the crooked bridge, the causeway, the "
        "quarry road, the blue hills, the back gardens, the hollow way, the lake shore, the post "
        "road, the swamp, the dunes"
    ),
    "game": listed(
        "marbles, hide and seek, skittles, leapfrog, cards, draughts, blind man's buff, tag, "
        "dominoes, hopscotch, ninepins, charades, tug of war, quoits, backgammon, bowls, musical "
        "chairs, chess, conkers, croquet, darts, dice, jackstraws, lotto, pig in the middle, "
        "shuttlecock, snap, solitaire, tiddlywinks, whist"
    ),
    "drink": listed(
        "mint tea, cider, almond milk, elderflower juice, ginger beer, cocoa, plum juice, well "
        "water, nettle tea, barley water, apple juice, lime tea, birch sap, rosehip tea, "
        "buttermilk, onion broth, beet juice, camomile tea, carrot juice, cherry juice, coffee, "
        "fennel tea, grape juice, honey milk, lemon tea, lemonade, malt beer, pear juice, quince "
        "juice, raspberry juice, root beer, sage tea, thyme tea, whey"
    ),
    "landmark": listed(
        "elm, oak, ash, lime tree, beech, willow, birch, poplar, walnut tree, pear tree, rowan, "
        "pine, cherry tree, maple, hawthorn, mill, barn, chapel, inn, well, milestone, bridge, "
        "gatepost, forge, haystack, tower, scarecrow, sawmill, cross, pond, shed, kiln, hut, "
        "fountain, orchard, bakery, lighthouse, ruin, school, stable, statue, station, tavern, "
        "tollhouse, vineyard, windmill, boulder, brewery, cottage, graveyard, hedge, jetty, "
        "kennel, quarry, dovecote, tannery, bandstand"
    ),
    "look": listed(
        "crooked, mossy, old, white, red, blue, grey, black, lonely, empty, haunted, famous, "
        "half-ruined, leaning, splendid, tiny, huge, ugly, pretty, silent, yellow, green, burnt, "
        "sunny, shady, quiet, whitewashed, overgrown, ivy-covered, neglected, ancient, new, "
        "lovely, stately, gloomy, cheerful, dripping, dusty, tall, squat, strange, forgotten, "
        "weather-beaten, noisy"
    ),
    "work": listed(
        "bridge, mill wheel, church roof, village pump, sea wall, bandstand, schoolhouse, ferry, "
        "market hall, town gate, bakehouse, clock tower, dam, barn, footbridge, lighthouse, wash "
        "house, bell tower, signal mast, toll house, greenhouse, theatre, horse trough, cable car, "
        "merry-go-round, cider press, organ, town wall, landing stage, hay barn"
    ),
    "prize": listed(
        "a goose, a silver cup, a wheel of cheese, a wreath of laurel, a ham, a barrel of cider, a "
        "new hat, a sack of flour, a purse of coins, a painted sledge, a jar of honey, a bell, a "
        "bolt of cloth, a cake as big as a wheel, a pony cart, a golden pear, a basket of eggs, a "
        "brass kettle, a crate of oranges, a feather bed, a fur cap, a keg of butter, a marble "
        "bust, a new broom, a pair of boots, a pound of tea, a rowing boat, a silk scarf, a string "
        "of sausages, a tin crown, a tub of lard, a velvet chair"
    ),
    "people": _PEOPLE,
    "People": tuple(people.capitalize() for people in _PEOPLE),
    "distance": listed(
        "two miles, three miles, four miles, five miles, six miles, seven miles, eight miles, nine "
        "miles, ten miles, eleven miles, twelve miles, thirteen miles, fourteen miles, half a day, "
        "a whole day, a day and a night"
    ),
    "fullbag": listed(
        "bulging, heavy, lumpy, dripping, patched, rattling, striped, mysterious, swollen, "
        "wriggling, leather, wet, canvas, clinking, greasy, humming, knotted, squeaking, torn, "
        "velvet"
    ),
    "weekday": listed("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "oclock": listed("one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve"),
    "number": NUMBERS[1:],
    "few": listed("two, three, four, five, six, seven, eight, nine, ten, eleven, twelve"),
    "minute": NUMBERS[1:59],
    "colour": COLOURS,
    "show": listed(
        "puppets, fire eater, dancing goats, rope walker, magic lantern, giant pumpkin, sword "
        "dancers, talking parrot, merry-go-round, conjurer, brass band, stilt walkers, wax "
        "figures, flea circus, strong man, mermaid in a tub, weight lifters, glass harp, "
        "two-headed calf, bear in a bonnet, knife thrower, paper theatre, snake charmer, balloon, "
        "clock with a cuckoo, tumblers"
    ),
    "rude": listed(
        "stubborn, stupid, greedy, stiff, selfish, loud, silly, blind, deaf, pig-headed, cold, "
        "mean, bossy, clumsy, dull, lazy, rude, slow, sour, spiteful, thick, vain, wooden"
    ),
    "beast": listed(
        "camel, peacock, crocodile, ostrich, mule, walrus, flea, dragon, whale, elephant, crab, "
        "jellyfish, parrot, buffalo, scorpion, porcupine, octopus, rhinoceros, ape, armadillo, "
        "baboon, bison, chameleon, cockroach, giraffe, gnu, hippopotamus, hyena, kangaroo, "
        "lobster, panther, pelican, penguin, python, shark, sloth, tapir, tiger, vulture, yak, "
        "zebra"
    ),
    "wrong": listed(
        "a broom, a spider, a ladder, the moon, a kettle, a bell, the wind, a goose, a ship, a "
        "turnip, a hat, a fiddle, the rain, a stove, a barrel, a snowman, a pancake, a lantern, a "
        "sock, a wheel, a cheese, a coffin, a cradle, a dream, a fence, a flea, a harp, a hill, a "
        "king, a letter, a lie, a nail, a nose, a pillow, a road, a saw, a song, a star, a toad, "
        "the fog, the post, the snow, the tide, a whip"
    ),
    "pet": listed(
        "beetle, snail, caterpillar, ladybird, stickleback, cricket, silkworm, spider, worm, "
        "tadpole, glow-worm, moth, grasshopper, ant, bumblebee, wood beetle, dragonfly, earwig, "
        "slug, minnow"
    ),
    "onset": listed(
        "B, Bl, Br, C, Ch, Cl, Cr, D, Dr, F, Fl, Fr, G, Gl, Gr, H, J, K, Kn, L, M, N, P, Pl, Pr, "
        "Qu, R, S, Sh, Sl, Sn, Sp, St, T, Th, Tr, Tw, V, W, Z"
    ),
    "rime": listed(
        "abb, ack, add, aff, agg, all, amb, amm, and, app, arr, ash, ass, att, azz, ebb, eck, edd, "
        "egg, ell, emm, enn, epp, err, esh, ess, ett, ibb, ick, idd, iff, igg, ill, imm, imp, inn, "
        "ipp, irr, iss, itt, izz, obb, ock, odd, off, ogg, oll, omm, onn, opp, orr, oss, ott, ubb, "
        "uck, udd, uff, ugg, ull, umm, unn, upp, urr, ush, uss, utt, uzz"
    ),
    "tail": listed(
        "abel, ado, agon, ake, alie, ando, ango, aree, atoo, edee, egar, elin, emo, ento, erby, "
        "esco, etta, ibus, ico, idge, ifer, igo, ilo, imus, ingo, inka, ippa, irus, isk, itto, "
        "ivel, obel, odo, olly, ombo, onga, opolis, oree, osh, otto, ova, oxo, ubee, uddy, ulo, "
        "umbo, undy, unka, usko, uttle"
    ),
    "digit": listed("0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    "letter": tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "stuff": listed(
        "tin, oak, brass, glass, clay, cork, felt, silk, wool, lead, bone, horn, copper, amber, "
        "marble, straw, velvet, wax, iron, pewter, ivory, leather, linen, cherry wood, elm, beech, "
        "ash, willow, gold, silver, slate, sandstone, granite, paper, cardboard, canvas"
    ),
    "creatures": listed(
        "geese, swallows, bees, crickets, frogs, larks, crows, gulls, cranes, bats, moths, gnats, "
        "snails, sheep, cows, goats, oxen, mules, trout, eels, carp, starlings, finches, thrushes, "
        "cuckoos, peacocks, pheasants, partridges, turkeys, ducks, swans, hens, doves, wasps, "
        "ants, beetles, butterflies, dragonflies, fireflies, spiders"
    ),
    "herbs": listed(
        "poplars, willows, reeds, nettles, roses, lilacs, ferns, poppies, thistles, tulips, "
        "daisies, lilies, brambles, oaks, birches, pines, elms, chestnuts, hops, vines, beans, "
        "peas, cabbages, sunflowers, hollyhocks, foxgloves, bluebells, dandelions, violets, "
        "pansies, larches, rushes, mosses, clovers, lupins, marigolds, irises, peonies, rowans, "
        "cedars"
    ),
    "road": listed(
        "lane, road, path, track, highway, causeway, avenue, footpath, bridle path, street, alley, "
        "towpath, bypath, pass, trail, dyke, embankment, ridge, valley, canal, hedge, stream, "
        "shore, steps"
    ),
    "hot": listed(
        "hot, cold, sweet, bitter, thin, strong, weak, warm, fresh, spiced, frothy, cloudy, old, "
        "sparkling, salty, steaming"
    ),
    "folk": listed(
        "bakers, millers, shepherds, sailors, farmers, weavers, fiddlers, pedlars, carters, "
        "gardeners, firemen, nuns, beekeepers, haymakers, dancers, pilgrims, clerks, fishermen, "
        "cooks, tailors, orphans, uncles, aunts, watchmen, acrobats, barbers, butchers, "
        "carpenters, coopers, drummers, goatherds, grocers, hunters, judges, lawyers, masons, "
        "miners, monks, painters, piano tuners, poets, postmen, potters, pupils, ropemakers, "
        "saddlers, scholars, singers, smiths, soldiers, students, tinkers, tourists, trumpeters, "
        "waiters, washerwomen, widows, woodcutters"
    ),
    "syllable": listed(
        "fa, la, ri, lo, tum, tim, bo, do, dee, dum, hey, ho, nonny, rum, tay, tirra, lira, binka, "
        "bom, dilly, dolly, diddle, fiddle, falla, fol, hum, ja, jing, jolly, ko, kum, lilla, "
        "lully, mi, mo, nick, nock, oh, ola, pim, pom, pum, ram, rinky, rolla, rub, sim, sol, ta, "
        "tara, tick, tock, tilly, tolly, trala, tumba, um, vo, willy, wo, wumba, yo, yupp, zim, "
        "zum"
    ),
}
LISTS["Spot"] = tuple(spot.capitalize() for spot in LISTS["spot"])
LISTS["Minute"] = tuple(number.capitalize() for number in LISTS["minute"])
LISTS["Number"] = tuple(number.capitalize() for number in LISTS["number"])
LISTS["Size"] = tuple(size.capitalize() for size in LISTS["size"])
LISTS["Beast"] = tuple(beast.capitalize() for beast in LISTS["beast"])
LISTS["Beside"] = tuple(beside.capitalize() for beside in LISTS["beside"])
LISTS["plain"] = tuple(
    size for size in LISTS["size"] if size not in (*COLOURS, *LISTS["stuff"], *MATERIALS)
)
