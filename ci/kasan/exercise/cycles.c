// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Drivers loaded, used and unloaded, by system calls: starting a program for each would be most of the time. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exercise.h"

#define CARD		"/dev/dri/card0"
#define PORT		"/dev/vdiport0"
#define SCREEN		"/dev/tty1"
#define CONSOLES	"/sys/class/vtconsole"
/* A cycle in so many has a program draw; the console draws in each. */
#define CYCLES_DRAWN	10
#define COLOURS		7

static int opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static void load(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = opened(path, O_RDONLY);
	if (syscall(SYS_finit_module, fd, "", 0))
		fail("%s is not loaded: %s", name, strerror(errno));
	close(fd);
}

static void unload(const char *name)
{
	if (syscall(SYS_delete_module, name, O_NONBLOCK))
		fail("%s is not unloaded: %s", name, strerror(errno));
}

static void print(const char *path, const char *text)
{
	int fd = opened(path, O_WRONLY);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* The console of the display is given up. */
static void leave_console(void)
{
	DIR *consoles = opendir(CONSOLES);
	struct dirent *entry;
	int count = 0;

	if (!consoles)
		fail("%s: %s", CONSOLES, strerror(errno));
	while ((entry = readdir(consoles))) {
		char path[sizeof(CONSOLES) + sizeof(entry->d_name) + 8], name[64];
		ssize_t bytes;
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CONSOLES "/%s/name", entry->d_name);
		fd = opened(path, O_RDONLY);
		bytes = read(fd, name, sizeof(name) - 1);
		close(fd);
		name[bytes < 0 ? 0 : bytes] = 0;
		if (!strstr(name, "frame buffer"))
			continue;
		snprintf(path, sizeof(path), CONSOLES "/%s/bind", entry->d_name);
		print(path, "0");
		count++;
	}
	closedir(consoles);
	if (count != 1)
		fail("%d consoles are on a display", count);
}

static void cycle(unsigned int number)
{
	char text[64];

	load("caraway_qxl");
	load("vdiport");
	snprintf(text, sizeof(text), "\033[3%umcycle %u\033[m\n", number % COLOURS + 1, number);
	print(SCREEN, text);
	/* Connected, and gone again. */
	close(opened(PORT, O_RDWR));
	if (!(number % CYCLES_DRAWN))
		exercise_draw(CARD, 1, number);
	/* In turn the console is given up first, and taken away with the display. */
	if (number % 2)
		leave_console();
	unload("vdiport");
	unload("caraway_qxl");
}

void exercise_cycles(unsigned int first, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		cycle(first + i);
}
