// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * screen video FRAMES HZ | screen photos COUNT SECONDS | screen lines COUNT HZ FILE | screen sum |
 * screen pointer | screen frame CRTC: what the bench and the suites of the display drivers show in their guests, and how
 * they know what should be seen.
 *
 * Pictures fill the X display and are made before the clock runs, so that what is measured is their way to the screen.
 * `sum` prints the checksum of what X has on the screen, the same 64-bit FNV-1a as that of `caraway ctl screenshot --hash`.
 * `pointer` prints size, hot spot and checksum (of B, G, R, A, premultiplied) of the pointer that X shows now.
 * `frame` prints the checksum of the framebuffer that a CRTC shows, whoever has drawn it, as the kernel has it.
 */
#include <drm.h>
#include <drm_mode.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>
#include <xcb/xfixes.h>

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static xcb_connection_t *x;
static xcb_screen_t *screen;
static unsigned int width, height;

static void die(const char *what)
{
	fprintf(stderr, "screen: %s\n", what);
	exit(1);
}

static uint32_t scatter(uint32_t value)
{
	value ^= value >> 16;
	value *= 0x7feb352d;
	value ^= value >> 15;
	value *= 0x846ca68b;
	return value ^ value >> 16;
}

static unsigned int clamp(double value)
{
	return value < 0 ? 0 : value > 255 ? 255 : (unsigned int)value;
}

/* Soft shapes that move with `time`, a little noise as of a camera. */
static void paint(uint32_t *pixels, double time, uint32_t seed)
{
	double across[3][8192], down[3][8192];

	for (int i = 0; i < 3; i++) {
		for (unsigned int at = 0; at < width; at++)
			across[i][at] = 60 * sin((i + 2) * 6.0 * at / width + time * (i + 1) + seed);
		for (unsigned int at = 0; at < height; at++)
			down[i][at] = 60 * cos((4 - i) * 5.0 * at / height - time * (3 - i) + seed);
	}
	for (unsigned int row = 0; row < height; row++)
		for (unsigned int column = 0; column < width; column++) {
			uint32_t noise = scatter((row * width + column) ^ scatter(seed + (uint32_t)(time * 1000)));
			uint32_t pixel = 0;

			for (int i = 0; i < 3; i++)
				pixel = pixel << 8 |
					clamp(128 + across[i][column] + down[i][row] + (noise >> 8 * i & 7));
			pixels[(size_t)row * width + column] = pixel;
		}
}

static void pause_until(const struct timespec *start, double seconds)
{
	struct timespec until = *start;
	double whole = floor(seconds);

	until.tv_sec += (time_t)whole;
	until.tv_nsec += (long)((seconds - whole) * 1e9);
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* A window over everything, which the window manager leaves alone. */
static xcb_window_t cover(void)
{
	xcb_window_t window = xcb_generate_id(x);
	const uint32_t values[] = { screen->black_pixel, true };

	xcb_create_window(x, XCB_COPY_FROM_PARENT, window, screen->root, 0, 0, width, height, 0,
			  XCB_WINDOW_CLASS_INPUT_OUTPUT, screen->root_visual,
			  XCB_CW_BACK_PIXEL | XCB_CW_OVERRIDE_REDIRECT, values);
	xcb_map_window(x, window);
	return window;
}

static void show(unsigned int count, double hz, bool is_video)
{
	size_t bytes = (size_t)width * height * sizeof(uint32_t);
	int id = shmget(IPC_PRIVATE, bytes * count, IPC_CREAT | 0600);
	uint8_t *memory = shmat(id, NULL, 0);
	xcb_shm_seg_t segment = xcb_generate_id(x);
	xcb_gcontext_t context = xcb_generate_id(x);
	xcb_window_t window;
	struct timespec start;

	if (memory == (void *)-1)
		die("no memory that is shared with X");
	xcb_shm_attach(x, segment, id, true);
	for (unsigned int i = 0; i < count; i++)
		paint((uint32_t *)(memory + bytes * i), is_video ? i / hz : 0, is_video ? 1 : 100 * (i + 1));
	window = cover();
	xcb_create_gc(x, context, window, 0, NULL);
	free(xcb_get_input_focus_reply(x, xcb_get_input_focus(x), NULL));
	shmctl(id, IPC_RMID, NULL);

	printf("screen: begin\n");
	fflush(stdout);
	/* Whoever measures has read his clocks. */
	getchar();
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned int i = 0; i < count; i++) {
		pause_until(&start, i / hz);
		xcb_shm_put_image(x, window, context, width, height, 0, 0, width, height, 0, 0, screen->root_depth,
				  XCB_IMAGE_FORMAT_Z_PIXMAP, false, segment, (uint32_t)(bytes * i));
		/* X has done it. */
		free(xcb_get_input_focus_reply(x, xcb_get_input_focus(x), NULL));
	}
	printf("screen: end\n");
	fflush(stdout);
	/* The last picture stays until it was looked at. */
	getchar();
}

/* Lines of a file, for a terminal. */
static void lines(unsigned int count, double hz, const char *name)
{
	FILE *file = fopen(name, "r");
	struct timespec start;
	char line[256];

	if (!file)
		die("no file of lines");
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned int i = 0; i < count; i++) {
		pause_until(&start, i / hz);
		if (!fgets(line, sizeof(line), file))
			die("the file has not so many lines");
		fputs(line, stdout);
		fflush(stdout);
	}
	fclose(file);
}

static uint64_t mix(uint64_t hash, uint8_t byte)
{
	return (hash ^ byte) * FNV_PRIME;
}

/* Of the first so many bytes of pixels, in lines of so many bytes. */
static uint64_t checksum(const uint8_t *pixels, int parts, size_t pitch, unsigned int across, unsigned int down)
{
	uint64_t hash = FNV_OFFSET;

	for (int i = 0; i < 4; i++)
		hash = mix(hash, across >> 8 * i);
	for (int i = 0; i < 4; i++)
		hash = mix(hash, down >> 8 * i);
	for (unsigned int y = 0; y < down; y++)
		for (unsigned int x = 0; x < across; x++)
			for (int part = 0; part < parts; part++)
				hash = mix(hash, pixels[y * pitch + 4 * x + part]);
	return hash;
}

static void sum(void)
{
	xcb_get_image_reply_t *image = xcb_get_image_reply(
		x, xcb_get_image(x, XCB_IMAGE_FORMAT_Z_PIXMAP, screen->root, 0, 0, width, height, UINT32_MAX), NULL);

	if (!image || (size_t)xcb_get_image_data_length(image) != (size_t)width * height * 4)
		die("no picture of the screen");
	printf("screen: sum %016" PRIx64 "\n", checksum(xcb_get_image_data(image), 3, (size_t)width * 4, width, height));
}

static void pointer(void)
{
	xcb_xfixes_get_cursor_image_reply_t *image;

	/* The server wants to know first what is spoken. */
	free(xcb_xfixes_query_version_reply(x, xcb_xfixes_query_version(x, 2, 0), NULL));
	image = xcb_xfixes_get_cursor_image_reply(x, xcb_xfixes_get_cursor_image(x), NULL);
	if (!image)
		die("no picture of the pointer");
	printf("screen: pointer %ux%u+%u+%u %016" PRIx64 "\n", image->width, image->height, image->xhot, image->yhot,
	       checksum((const uint8_t *)xcb_xfixes_get_cursor_image_cursor_image(image), 4, 4 * (size_t)image->width,
			image->width, image->height));
}

static void frame(unsigned int number)
{
	uint32_t crtcs[64];
	struct drm_mode_card_res resources = { .crtc_id_ptr = (uintptr_t)crtcs, .count_crtcs = 64 };
	int card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	struct drm_mode_crtc crtc = { 0 };
	struct drm_mode_fb_cmd2 fb = { 0 };
	struct drm_mode_map_dumb map = { 0 };
	const uint8_t *pixels;

	if (card < 0 || ioctl(card, DRM_IOCTL_MODE_GETRESOURCES, &resources) || number >= resources.count_crtcs)
		die("no such CRTC");
	crtc.crtc_id = crtcs[number];
	if (ioctl(card, DRM_IOCTL_MODE_GETCRTC, &crtc) || !crtc.mode_valid || !crtc.fb_id) {
		printf("screen: frame off\n");
		return;
	}
	fb.fb_id = crtc.fb_id;
	if (ioctl(card, DRM_IOCTL_MODE_GETFB2, &fb) || !fb.handles[0])
		die("the framebuffer cannot be had");
	map.handle = fb.handles[0];
	if (ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &map))
		die("the framebuffer cannot be mapped");
	pixels = mmap(NULL, (size_t)fb.pitches[0] * fb.height, PROT_READ, MAP_SHARED, card, (off_t)map.offset);
	if (pixels == MAP_FAILED)
		die("no memory for the framebuffer");
	printf("screen: frame %ux%u %016" PRIx64 "\n", crtc.mode.hdisplay, crtc.mode.vdisplay,
	       checksum(pixels + (size_t)crtc.y * fb.pitches[0] + 4 * (size_t)crtc.x, 3, fb.pitches[0],
			crtc.mode.hdisplay, crtc.mode.vdisplay));
}

int main(int count, char **words)
{
	if (count == 5 && !strcmp(words[1], "lines")) {
		lines((unsigned int)atoi(words[2]), atof(words[3]), words[4]);
		return 0;
	}
	if (count == 3 && !strcmp(words[1], "frame")) {
		frame((unsigned int)atoi(words[2]));
		return 0;
	}
	x = xcb_connect(NULL, NULL);
	if (xcb_connection_has_error(x))
		die("no X display");
	screen = xcb_setup_roots_iterator(xcb_get_setup(x)).data;
	width = screen->width_in_pixels;
	height = screen->height_in_pixels;
	if (width > 8192 || height > 8192)
		die("the screen is larger than 8192");
	if (count == 4 && !strcmp(words[1], "video"))
		show((unsigned int)atoi(words[2]), atof(words[3]), true);
	else if (count == 4 && !strcmp(words[1], "photos"))
		show((unsigned int)atoi(words[2]), 1 / atof(words[3]), false);
	else if (count == 2 && !strcmp(words[1], "sum"))
		sum();
	else if (count == 2 && !strcmp(words[1], "pointer"))
		pointer();
	else
		die("usage: screen video FRAMES HZ | screen photos COUNT SECONDS | screen lines COUNT HZ FILE | screen sum | "
		    "screen pointer | screen frame CRTC");
	return 0;
}
