// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * exercise draw CARD ROUNDS SEED: modes, framebuffers, damage, flips and pointers in a random order that SEED gives.
 * exercise hold CARD: shows a picture and says "holding", draws until the device is gone, says so, and ends by itself.
 * exercise share CARD OTHER: a buffer of one device as a framebuffer of another one.
 * exercise cycles FIRST COUNT: our drivers loaded, used and unloaded, COUNT times, which are numbered from FIRST on.
 *
 * What must work and does not ends it with exit code 1 and a line that says what it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exercise.h"

static unsigned int number(const char *text)
{
	return strtoul(text, NULL, 0);
}

int main(int argc, char **argv)
{
	/* It may be killed by the end of what it writes to; its lines are to be there in time. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 5 && !strcmp(argv[1], "draw")) {
		exercise_draw(argv[2], number(argv[3]), number(argv[4]));
		printf("exercise: %s rounds drawn\n", argv[3]);
	} else if (argc == 3 && !strcmp(argv[1], "hold")) {
		exercise_hold(argv[2]);
	} else if (argc == 4 && !strcmp(argv[1], "share")) {
		exercise_share(argv[2], argv[3]);
	} else if (argc == 4 && !strcmp(argv[1], "cycles")) {
		exercise_cycles(number(argv[2]), number(argv[3]));
		printf("exercise: %s cycles done\n", argv[3]);
	} else {
		fail("usage: exercise draw CARD ROUNDS SEED | hold CARD | share CARD OTHER | cycles FIRST COUNT");
	}
	return 0;
}
