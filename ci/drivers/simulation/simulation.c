// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * simulation SEED FRAMES: the part of the QXL driver that decides what is sent, with a device that draws it. Random
 * things happen on the heads, also while it looks at them, and the device has no room at times; whenever everything was
 * sent, the device shows what the framebuffers have. Ends with counts of what was sent, or with 1.
 */
#include "shim.h"
#include "qxl.h"

#define HEADS		3
#define WIDTH_MAX	900
#define HEIGHT_MAX	500
#define ARENA_BYTES	(8u << 20)
#define NUMBERS		65536
#define PENDING		64

static u64 seed;
unsigned long jiffies = 1000;

static struct qxl qxl;
static struct qxl_rom rom;
static u8 *arena;
/* What the device shows. */
static u32 *canvas;
static struct drm_framebuffer framebuffers[HEADS];
static u32 *memories[HEADS];
/* Pixels of a line of a framebuffer, from which its head shows some in the middle. */
static u32 pitch[HEADS];

/* What changed while the driver looked: where, and what was there. */
static struct {
	u32 head;
	struct drm_rect rect;
	u32 before;
} pending[PENDING];
static u32 pending_count;
static bool is_flushing;

/* The pixels that a number stands for. */
static struct {
	u32 number;
	u32 width;
	u32 height;
	u32 *pixels;
} known[NUMBERS];

static u32 draws, copies, fills, again, refusals, races;
/* Commands that the device has not been told of. */
static u32 unpublished;

static u64 next_random(void)
{
	u64 number = seed += 0x9e3779b97f4a7c15;

	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
	number = (number ^ number >> 27) * 0x94d049bb133111eb;
	return number ^ number >> 31;
}

static u32 below(u32 limit)
{
	return limit ? next_random() % limit : 0;
}

void get_random_bytes(void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((u8 *)to)[i] = next_random();
}

static void fail(const char *what, u32 head, s32 x, s32 y)
{
	printf("simulation: %s, head %u, %d, %d\n", what, head, x, y);
	exit(1);
}

static u32 *pixel(u32 head, s32 x, s32 y)
{
	const struct qxl_source *source = &qxl.heads[head].source;

	return memories[head] + (size_t)(y + source->y) * pitch[head] + x + source->x;
}

static struct drm_rect some_rect(u32 head)
{
	const struct qxl_head_layout *layout = &qxl.layout.heads[head];
	u32 width = 1 + below(below(3) ? layout->width : 40), height = 1 + below(below(3) ? layout->height : 30);

	s32 x, y;

	width = min(width, layout->width);
	height = min(height, layout->height);
	x = below(layout->width - width + 1);
	y = below(layout->height - height + 1);
	return DRM_RECT_INIT(x, y, width, height);
}

static void paint(u32 head, const struct drm_rect *rect, u32 colour)
{
	for (s32 y = rect->y1; y < rect->y2; y++)
		for (s32 x = rect->x1; x < rect->x2; x++)
			*pixel(head, x, y) = colour;
}

/* Something that is drawn while the driver looks. It is told later, and may be as it was by then. */
static void race(void)
{
	u32 head = below(HEADS);
	struct drm_rect rect;

	if (!is_flushing || pending_count == PENDING || below(12))
		return;
	rect = some_rect(head);
	rect.x2 = min(rect.x2, rect.x1 + 20);
	rect.y2 = min(rect.y2, rect.y1 + 20);
	pending[pending_count].head = head;
	pending[pending_count].rect = rect;
	pending[pending_count].before = *pixel(head, rect.x1, rect.y1);
	pending_count++;
	paint(head, &rect, next_random());
	races++;
}

/* The device. */

bool qxl_device_is_usable(struct qxl *device)
{
	(void)device;
	return true;
}

void qxl_device_fail(struct qxl *device, const char *why)
{
	(void)device;
	fail(why, 0, 0, 0);
}

void qxl_device_ignore_room(struct qxl *device)
{
	(void)device;
}

void qxl_cursor_flush(struct qxl *device)
{
	(void)device;
}

bool qxl_ring_has_room(struct qxl *device, struct qxl_producer *producer)
{
	(void)device;
	(void)producer;
	race();
	refusals += !below(50);
	return below(50);
}

int qxl_arena_take_draw(struct qxl *device, u32 bytes)
{
	(void)device;
	if (bytes > ARENA_BYTES)
		fail("a command is too large", 0, bytes, 0);
	return below(50) ? 0 : -ENOSPC;
}

void *qxl_arena_memory(struct qxl *device, int slot)
{
	(void)device;
	(void)slot;
	return arena;
}

u64 qxl_arena_address(struct qxl *device, int slot)
{
	(void)device;
	(void)slot;
	return 0;
}

void qxl_arena_send(struct qxl *device, int slot)
{
	(void)device;
	(void)slot;
}

bool qxl_arena_collect(struct qxl *device)
{
	(void)device;
	return false;
}

void qxl_arena_ask(struct qxl *device)
{
	(void)device;
}

u32 qxl_arena_picture_bytes(struct qxl *device)
{
	(void)device;
	return ARENA_BYTES / 32;
}

static u32 *shown(s32 x, s32 y)
{
	if (x < 0 || y < 0 || x >= (s32)qxl.layout.width || y >= (s32)qxl.layout.height)
		fail("drawn out of the screen", 0, x, y);
	return canvas + (size_t)y * qxl.layout.width + x;
}

/* A number means the same pixels for ever. */
static void check_number(const struct qxl_image *image, const u32 *pixels)
{
	u32 number = image->id >> QXL_IMAGE_ID_SHIFT;
	size_t bytes = (size_t)image->width * image->height * sizeof(u32);

	if (!(image->flags & QXL_IMAGE_CACHE))
		return;
	for (u32 i = number % NUMBERS;; i = (i + 1) % NUMBERS) {
		if (!known[i].pixels) {
			known[i].number = number;
			known[i].width = image->width;
			known[i].height = image->height;
			known[i].pixels = malloc(bytes);
			memcpy(known[i].pixels, pixels, bytes);
			return;
		}
		if (known[i].number != number)
			continue;
		if (known[i].width != image->width || known[i].height != image->height ||
		    memcmp(known[i].pixels, pixels, bytes))
			fail("a number stands for other pixels", 0, number, 0);
		again++;
		return;
	}
}

void qxl_ring_publish(struct qxl *device, struct qxl_producer *producer)
{
	(void)device;
	(void)producer;
	unpublished = 0;
}

void qxl_ring_push(struct qxl *device, struct qxl_producer *producer, u32 type, u64 address)
{
	struct qxl_drawable drawable;
	struct drm_rect box;

	(void)device;
	(void)producer;
	unpublished++;
	memcpy(&drawable, arena + address, sizeof(drawable));
	box = (struct drm_rect){ drawable.bbox.left, drawable.bbox.top, drawable.bbox.right, drawable.bbox.bottom };
	if (type != QXL_COMMAND_DRAW || !drm_rect_visible(&box))
		fail("no drawing", 0, box.x1, box.y1);
	if (drawable.type == QXL_DRAW_FILL) {
		fills++;
		for (s32 y = box.y1; y < box.y2; y++)
			for (s32 x = box.x1; x < box.x2; x++)
				*shown(x, y) = drawable.u.fill.brush.colour;
	} else if (drawable.type == QXL_DRAW_COPY_BITS) {
		s32 dx = drawable.u.copy_bits.source.x - box.x1, dy = drawable.u.copy_bits.source.y - box.y1;
		size_t bytes = drm_rect_width(&box) * sizeof(u32);

		copies++;
#ifdef PLANTED
		/* A fault that has to be found. */
		dx += box.x2 + dx < (s32)qxl.layout.width;
#endif
		for (s32 i = 0; i < drm_rect_height(&box); i++) {
			s32 y = dy > 0 ? box.y1 + i : box.y2 - 1 - i;

			shown(box.x2 - 1 + dx, y + dy);
			memmove(shown(box.x1, y), shown(box.x1 + dx, y + dy), bytes);
		}
	} else {
		struct qxl_image image;
		const u32 *pixels;

		draws++;
		memcpy(&image, arena + drawable.u.copy.src_bitmap, sizeof(image));
		pixels = (const u32 *)(arena + image.bitmap_data + sizeof(struct qxl_chunk));
		if ((s32)image.width != drm_rect_width(&box) || (s32)image.height != drm_rect_height(&box))
			fail("a picture has another size", 0, box.x1, box.y1);
		check_number(&image, pixels);
		for (s32 y = box.y1; y < box.y2; y++)
			for (s32 x = box.x1; x < box.x2; x++)
				*shown(x, y) = *pixels++;
	}
	race();
}

/* What happens on a head. */

static void say(u32 head, const struct drm_rect *rect)
{
	struct drm_rect said = *rect;

	/* Programs say more than they do. */
	if (!below(3)) {
		said.x1 -= below(30);
		said.x2 += below(30);
		said.y2 += below(200);
	}
	qxl_tiles_mark(qxl.heads[head].damage, &said);
}

static void draw_noise(u32 head, const struct drm_rect *rect, u32 colours)
{
	for (s32 y = rect->y1; y < rect->y2; y++)
		for (s32 x = rect->x1; x < rect->x2; x++)
			*pixel(head, x, y) = 0x1f0301 * below(colours);
}

/* Always the same for the same number and size. */
static void draw_stored(u32 head, const struct drm_rect *rect, u32 number)
{
	for (s32 y = rect->y1; y < rect->y2; y++)
		for (s32 x = rect->x1; x < rect->x2; x++)
			*pixel(head, x, y) = (number + 1) * ((x - rect->x1) * 0x10305 ^ (y - rect->y1) * 0x7090b);
}

/* Letters of 6x13 on one colour, few of them, so that there are many alike. */
static void draw_text(u32 head, const struct drm_rect *rect)
{
	u64 text = next_random();

	for (s32 y = rect->y1; y < rect->y2; y++)
		for (s32 x = rect->x1; x < rect->x2; x++) {
			u32 row = (y - rect->y1) % 13, letter = (x - rect->x1) / 6, line = (y - rect->y1) / 13;
			u32 kind = (text >> (letter + line * 7) % 61 & 7) * 2654435761u;

			*pixel(head, x, y) = kind >> (row * 6 + (x - rect->x1) % 6) % 29 & 1 ? 0 : 0xffffff;
		}
}

/* What is in a rectangle goes elsewhere, and something new comes where it was. */
static void move(u32 head, const struct drm_rect *rect, s32 dx, s32 dy)
{
	const struct qxl_head_layout *layout = &qxl.layout.heads[head];
	s32 width = drm_rect_width(rect), height = drm_rect_height(rect);
	u32 *kept = malloc((size_t)width * height * sizeof(u32));
	struct drm_rect to;

	for (s32 y = 0; y < height; y++)
		memcpy(kept + y * width, pixel(head, rect->x1, rect->y1 + y), width * sizeof(u32));
	if (below(2))
		draw_text(head, rect);
	else
		paint(head, rect, 0x336699);
	for (s32 y = 0; y < height; y++)
		for (s32 x = 0; x < width; x++) {
			s32 x2 = rect->x1 + x + dx, y2 = rect->y1 + y + dy;

			if (x2 >= 0 && y2 >= 0 && x2 < (s32)layout->width && y2 < (s32)layout->height)
				*pixel(head, x2, y2) = kept[y * width + x];
		}
	free(kept);
	to = (struct drm_rect){ rect->x1 + min(dx, 0), rect->y1 + min(dy, 0), rect->x2 + max(dx, 0),
				rect->y2 + max(dy, 0) };
	say(head, &to);
}

/* Lines of a rectangle go up, and new text comes below. */
static void scroll(u32 head, const struct drm_rect *rect, s32 lines)
{
	struct drm_rect rest = *rect;

	lines = min(lines, drm_rect_height(rect));
	for (s32 y = rect->y1; y < rect->y2 - lines; y++)
		memcpy(pixel(head, rect->x1, y), pixel(head, rect->x1, y + lines), drm_rect_width(rect) * sizeof(u32));
	rest.y1 = rect->y2 - lines;
	draw_text(head, &rest);
	say(head, rect);
}

static struct drm_rect windows[HEADS];

static void flush(void);

static void something(u32 head)
{
	struct drm_rect rect = below(3) ? windows[head] : some_rect(head);

	switch (below(14)) {
	case 0:
		draw_noise(head, &rect, 2 + below(1 << 20));
		say(head, &rect);
		break;
	case 1:
		paint(head, &rect, below(3) * 0x404040);
		say(head, &rect);
		break;
	case 2:
	case 3:
		draw_text(head, &rect);
		say(head, &rect);
		break;
	case 4:
	case 5:
		scroll(head, &rect, 1 + below(below(2) ? 14 : 120));
		break;
	case 6:
		/* As a terminal, line by line: what moved like that before is tried first. */
		rect = windows[head];
		scroll(head, &rect, 13);
		flush();
		scroll(head, &rect, 13);
		break;
	case 7:
	case 8:
		move(head, &rect, (s32)below(100) - 50, (s32)below(60) - 30);
		break;
	case 9:
		move(head, &rect, (s32)below(300) - 150, 0);
		break;
	case 10:
		/* Somebody types. */
		rect.x1 = min(rect.x1 + (s32)below(200), rect.x2 - 1);
		rect.x2 = min(rect.x2, rect.x1 + 12);
		rect.y2 = min(rect.y2, rect.y1 + 13);
		draw_text(head, &rect);
		say(head, &rect);
		break;
	case 11:
		/* A picture, one of a few, always in the same place. */
		rect = DRM_RECT_INIT(16, 20, 96, 40);
		draw_stored(head, &rect, below(4));
		say(head, &rect);
		break;
	case 12:
		/* A window is closed. */
		paint(head, &rect, 0x224488);
		say(head, &rect);
		break;
	default:
		windows[head] = some_rect(head);
		windows[head].x2 = min(windows[head].x1 + (s32)max(400u, below(WIDTH_MAX)),
				       (s32)qxl.layout.heads[head].width);
		windows[head].y2 = min(windows[head].y1 + (s32)max(300u, below(HEIGHT_MAX)),
				       (s32)qxl.layout.heads[head].height);
	}
}

/* What a program drew while the driver looked is said now; half of it has become what it was before. */
static void say_pending(void)
{
	u32 count = pending_count;

	pending_count = 0;
	while (count--) {
		if (below(2))
			paint(pending[count].head, &pending[count].rect, pending[count].before);
		qxl_tiles_mark(qxl.heads[pending[count].head].damage, &pending[count].rect);
	}
}

static void flush(void)
{
	u32 rounds = 0;

	do {
		is_flushing = rounds < 20;
		say_pending();
		qxl_draw_all(&qxl);
		is_flushing = false;
		if (unpublished)
			fail("the device is not told of commands", 0, unpublished, 0);
		if (++rounds > 5000)
			fail("it does not come to an end", 0, 0, 0);
	} while (qxl.is_kept_back || pending_count);
}

static u32 corrected(const struct qxl_gamma *gamma, u32 colour)
{
	if (!gamma->is_any)
		return colour & 0xffffff;
	return gamma->red[colour >> 16 & 255] << 16 | gamma->green[colour >> 8 & 255] << 8 | gamma->blue[colour & 255];
}

static void compare(void)
{
	for (u32 head = 0; head < HEADS; head++)
		for (u32 y = 0; y < qxl.layout.heads[head].height; y++)
			for (u32 x = 0; x < qxl.layout.heads[head].width; x++)
				if (corrected(&qxl.heads[head].gamma, *pixel(head, x, y)) !=
				    (*shown(qxl.layout.heads[head].x + x, y) & 0xffffff))
					fail("another picture is shown", head, x, y);
}

/* Other modes, and framebuffers for them. */
static void set_modes(void)
{
	qxl.layout.width = 0;
	qxl.layout.height = 0;
	for (u32 i = 0; i < HEADS; i++) {
		struct qxl_head_layout *layout = &qxl.layout.heads[i];
		struct qxl_head *head = &qxl.heads[i];

		layout->x = qxl.layout.width;
		layout->width = 300 + below(WIDTH_MAX - 300);
		layout->height = 100 + below(HEIGHT_MAX - 100);
		qxl.layout.width += layout->width;
		qxl.layout.height = max(qxl.layout.height, layout->height);
		pitch[i] = layout->width + below(20);
		head->index = i;
		head->source = (struct qxl_source){
			.fb = &framebuffers[i], .x = below(pitch[i] - layout->width + 1), .y = below(10),
			.width = layout->width, .height = layout->height,
		};
		framebuffers[i].pitches[0] = pitch[i] * sizeof(u32);
		free(memories[i]);
		memories[i] = calloc((size_t)pitch[i] * (layout->height + 10), sizeof(u32));
		head->source.data[0].vaddr = memories[i];
		windows[i] = some_rect(i);
		head->gamma.is_any = !below(4);
		for (u32 level = 0; level < QXL_GAMMA_SIZE; level++) {
			head->gamma.red[level] = 255 - level;
			head->gamma.green[level] = level / 2;
			head->gamma.blue[level] = level;
		}
	}
	free(canvas);
	canvas = calloc((size_t)qxl.layout.width * qxl.layout.height, sizeof(u32));
	pending_count = 0;
	qxl_draw_restart(&qxl);
}

int main(int count, char **words)
{
	u32 frames;

	if (count != 3) {
		fprintf(stderr, "usage: simulation SEED FRAMES\n");
		return 2;
	}
	seed = strtoull(words[1], NULL, 10);
	frames = atoi(words[2]);
	arena = malloc(ARENA_BYTES);
	qxl.rom = &rom;
	qxl.heads_count = HEADS;
	qxl.has_primary = true;
	if (qxl_draw_init(&qxl))
		return 1;
	for (u32 frame = 0; frame < frames; frame++) {
		if (frame % 200 == 0)
			set_modes();
		jiffies += below(500);
		for (u32 i = below(4); i < 4; i++)
			something(below(HEADS));
		flush();
		compare();
	}
	printf("simulation: %u pictures, %u again, %u fills, %u copies, %u refused, %u races\n", draws, again, fills, copies,
	       refusals, races);
	return 0;
}
