"""What the lasting facts of characters and places are made of.

Every list is separated by commas.
"""


def listed(text: str) -> tuple[str, ...]:
    """The words between commas.

    Raises:
        ValueError: a word that occurs twice, since a text must not come about in two ways.
    """
    words = tuple(" ".join(item.split()) for item in text.split(","))
    if len(set(words)) < len(words):
        raise ValueError(f"a word occurs twice in {words}")
    return words


KINDS = listed(
    "fox, hare, owl, mouse, bear, crow, frog, hedgehog, badger, goat, donkey, sparrow, otter, "
    "wolf, turtle, squirrel, duck, rabbit, mole, heron, cat, dog, pig, hen, toad, lamb, stork, "
    "weasel, beaver, magpie, goose, stoat, robin, newt, lynx, raven, dormouse, marten, swan, pony, "
    "wren, ferret, rook, vole, lizard, ox, shrew, jay, pigeon, hamster"
)
TRAITS = listed(
    "clever, careless, patient, proud, shy, brave, lazy, honest, gentle, stubborn, quick, quiet, "
    "cheerful, curious, humble, eager, kind, vain, fussy, dreamy, thrifty, stern, merry, nosy, "
    "solemn, restless, tidy, forgetful, polite, bold, grumpy, cautious, talkative, generous, sly, "
    "tender, sleepy, hasty, graceful, clumsy"
)
TRADES = listed(
    "baker, miller, weaver, potter, tailor, carpenter, cobbler, gardener, beekeeper, candlemaker, "
    "blacksmith, basketmaker, bookbinder, glassblower, ropemaker, clockmaker, shepherd, "
    "gravedigger, lamplighter, chimney sweep, cheesemaker, fiddler, painter, mapmaker, thatcher, "
    "tinker, barber, brewer, buttonmaker, cartwright, cook, dyer, ferry pilot, fiddle mender, "
    "flute player, hatter, healer, innkeeper, juggler, kite maker, locksmith, mason, net mender, "
    "organ builder, papermaker, pedlar, quilter, saddler, sailmaker, schoolteacher, soap boiler, "
    "stargazer, stonecutter, toymaker, umbrella mender, well digger, whistle maker, woodcutter, "
    "puppeteer, charcoal burner"
)
FEARS = listed(
    "the dark, deep water, thunder, high ladders, barking dogs, strangers, the north wind, fire, "
    "snakes, loud bells, narrow tunnels, the hawk, spiders, thick fog, old wells, scarecrows, "
    "empty houses, rope bridges, moths, bats, owls at night, falling leaves, cellars, big crowds, "
    "thin ice, wasps, mirrors, the full moon, echoes, steep stairs"
)
HABITS = listed(
    "hummed on the stairs, talked to the kettle, counted every step, slept until noon, whistled "
    "out of tune, collected buttons, wrote letters to the moon, never wore shoes, sneezed at "
    "roses, danced when it rained, knitted in the dark, saved every bit of string, ate breakfast "
    "twice, gave names to the clouds, sang to the turnips, walked backwards on Sundays, kept a "
    "diary in rhyme, lost every hat, polished spoons for pleasure, fed the swallows, told the same "
    "joke every day, drew maps of dreams, slept in a hammock, bowed to every tree, carried a spare "
    "candle, greeted every snail, swept the path at dawn, answered in riddles, laughed in church, "
    "bathed in the brook at midnight, painted doors blue, cried at weddings, yawned at sermons, "
    "won every game of marbles, grew giant pumpkins, read the almanac aloud, baked on Fridays, "
    "never locked the door, spoke in a whisper, forgot every birthday"
)
DISHES = listed(
    "barley soup, plum cake, buttered toast, pea pancakes, honey bread, nettle pie, rice pudding, "
    "roast chestnuts, cheese dumplings, apple fritters, blackberry jam, mushroom stew, oat "
    "porridge, carrot cake, cold radishes, hot gingerbread, pumpkin soup, pickled onions, cherry "
    "tart, baked potatoes, pear crumble, walnut rolls, parsnip mash, lemon curd, bean broth, "
    "cinnamon buns, leek pie, stewed rhubarb, beetroot salad, poppy seed cake"
)
COLOURS = listed(
    "red, blue, green, yellow, grey, white, brown, purple, scarlet, orange, black, golden, silver, "
    "pink, violet, copper"
)
GARMENTS = listed(
    "waistcoat, scarf, cap, shawl, apron, coat, hat, cloak, bow tie, hood, jacket, bonnet, sash, "
    "collar, pair of mittens, neckerchief"
)
MATERIALS = listed(
    "tin, wooden, clay, glass, brass, paper, velvet, willow, stone, ivory, woollen, leather, "
    "pewter, oaken, amber, linen"
)
TREASURES = listed(
    "flute, comb, spoon, whistle, box, star, horse, drum, lantern, ring, bell, ship, crown, doll, "
    "compass, rattle, teapot, mask, thimble, pipe, spinning top, flower, heart, bird, key, moon, "
    "fish, letter, puzzle, lute"
)
HOUSES = listed(
    "a crooked house, a round tower, an old barge, a mossy hut, a house on stilts, a hollow oak, a "
    "room above the bakery, a cottage with a red door, a windmill, a cave with curtains, an "
    "upturned boat, a narrow attic, a tent of patches, a stone cellar, a house without stairs, a "
    "caravan, a barn full of clocks, a hut behind the church, a lighthouse, a nest of a house, a "
    "cabin by the well, a house with nine windows, a shed among the beans, an empty mill, a garden "
    "house, a tall thin house, a boathouse, a haystack with a chimney, a gatehouse, a cottage of "
    "clay"
)
BETTERS = listed(
    "soup, a dry roof, a short song, an honest no, one good boot, a slow mule, plain bread, a warm "
    "bed, a small fire, a friend at home, two onions, a clean spoon, an early start, a patched "
    "coat, a quiet street, one candle, a kind word, a little rain, a sharp pencil, a full bucket, "
    "a late supper, half a pear, a straight path, an open door, a good nap, a bird in song, a "
    "broom in use, a deep root, an old joke, a soft answer"
)
WORSES = listed(
    "sorrow, a gold crown, a long speech, a sweet lie, ten silk slippers, a lame racehorse, a "
    "painted cake, a cold palace, a great smoke, a duke abroad, a promise of roses, a dusty medal, "
    "a fast excuse, a borrowed robe, a loud drum, a broken sun, a big word, a great flood, a blunt "
    "sword, an empty well, a lost breakfast, a bag of wind, a clever shortcut, a locked gate, a "
    "bad bargain, a parrot in a sulk, a rake in the grass, a tall weed, a new quarrel, a hard head"
)
PLACE_KINDS = listed(
    "fishing village, market town, mill village, hill town, quiet hamlet, harbour town, valley "
    "village, forest hamlet, river town, village of shepherds, town of bridges, village of "
    "weavers, walled town, island village, town of chimneys, village on the moor"
)
SIGHTS = listed(
    "a leaning tower, a stone lion, a clock without hands, a covered bridge, a walnut tree, a blue "
    "church, a fountain of frogs, a windmill with five sails, a giant's chair, a glass house, a "
    "wall of roses, a well that sings, a square of lime trees, a toll gate, a staircase to "
    "nowhere, a copper dome, a maze of hedges, a ring of old stones, a rope ferry, a statue of a "
    "goose, a crooked steeple, a library in a barn, an upside-down house, a pond of golden carp, a "
    "bell that is never rung, a red lighthouse, an orchard on the roof, a gate with two dragons, a "
    "bench for twenty, a market hall on pillars"
)
FAMES = listed(
    "plum jam, blue cheese, brass bells, warm mittens, paper kites, honey cakes, fine ropes, "
    "painted eggs, loud fiddles, black bread, soft wool, smoked trout, tall candles, sour "
    "cherries, dancing goats, wooden shoes, pear cider, straw hats, good knives, salted butter, "
    "clay pots, white geese, feather beds, sweet onions, lace collars, sharp mustard, roast "
    "almonds, lazy donkeys, red apples, long winters"
)

# How names are spelled: those of characters in four pieces, of places in two.
ONSETS = listed(
    "B, Br, C, D, Dr, F, Fl, G, Gr, H, J, K, L, M, N, P, Pr, Qu, R, S, St, T, Tr, V, W, Y, Z, "
    "Th, Sh, Ch, Bl, Cl, Gl, Sw, Tw, Sn"
)
VOWELS = listed("a, e, i, o, u, ai, ee, oa, ou, ea, ie, au")
MIDDLES = listed(
    "b, d, dd, l, ll, m, mm, n, nd, nn, p, pp, r, rr, s, ss, t, tt, v, x, z, rk, lm, nt, mb, "
    "ld, ft, sp, lt, rd, zz, ck"
)
HIS_ENDINGS = listed("o, us, en, ard, ert, in, is, on, or, uck, olf, ock, er, im, um")
HER_ENDINGS = listed("a, ie, ella, ina, y, ette, ora, ey, ilda, ine, ana, issa, elle, una, eth")
STEMS = listed(
    "Alder, Amber, Apple, Ash, Barley, Bell, Birch, Black, Bramble, Brand, Bright, Brindle, "
    "Broad, Brook, Burn, Butter, Candle, Chalk, Cherry, Clay, Clover, Cold, Copper, Corn, Crow, "
    "Dapple, Deep, Drum, Dusk, East, Elder, Elm, Fair, Feather, Fern, Fiddle, Finch, Flint, "
    "Fox, Frost, Gander, Goose, Gorse, Green, Grim, Hare, Harp, Hazel, Heather, Heron, High, "
    "Hollow, Holly, Honey, Hop, Iron, Ivy, Juniper, Kettle, King, Lamb, Lantern, Larch, Lark, "
    "Leather, Lime, Linnet, Long, Mallow, March, Marsh, Meadow, Mill, Mint, Moss, Mouse, "
    "Nettle, North, Oak, Oat, Otter, Owl, Oxen, Pebble, Pepper, Pigeon, Pine, Plum, Quail, "
    "Quill, Rain, Raven, Red, Reed, Ridge, Rook, Rose, Rush, Rye, Saffron, Salt, Sand, Sedge, "
    "Shep, Silver, Sorrel, South, Sparrow, Spring, Starling, Stone, Summer, Swan, Tansy, "
    "Thistle, Thorn, Tilly, Timber, Under, Walnut, West, Wheat, Whistle, White, Willow, Wind, "
    "Winter, Wren, Yarrow"
)
TAILS = listed(
    "barrow, beck, bourne, bridge, burgh, bury, by, chester, cliff, combe, cote, croft, dale, "
    "den, down, end, fell, field, firth, fold, ford, gate, grove, ham, haven, heath, hill, "
    "holm, hope, hurst, kirk, land, leigh, low, mead, mere, mouth, ness, pool, port, rigg, "
    "shaw, side, stead, stoke, stow, thorpe, ton, vale, wade, wall, water, well, wick, wold, "
    "wood, worth"
)
RIVERS = listed(
    "Al, An, Bar, Bre, Cal, Cor, Dar, Del, Ear, El, Fen, Gil, Hal, Is, Kel, Lor, Mar, Nid, Or, Pel"
)
RIVER_TAILS = listed("a, bel, der, en, ith, le, low, mer, na, nock, on, rel, sel, ten, ver")
