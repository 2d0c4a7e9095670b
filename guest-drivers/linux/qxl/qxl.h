/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * One QXL device, and what the parts of the driver have for each other.
 *
 * The device is not trusted: what it writes is looked at once, in a copy, before it is used, and what is ours in
 * memory that it shares is kept here and never read back.
 */
#ifndef QXL_H
#define QXL_H

#include <drm/drm_connector.h>
#include <drm/drm_crtc.h>
#include <drm/drm_device.h>
#include <drm/drm_encoder.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_plane.h>
#include <drm/drm_print.h>
#include <drm/drm_rect.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/interrupt.h>
#include <linux/iosys-map.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/workqueue.h>
#ifdef QXL_HAS_LINUX_UNALIGNED
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

#include "qxl_abi.h"

/* Of a mode of one head, each way. */
#define QXL_MODE_MAX		8192
#define QXL_CURSOR_MAX		64
/* What changes is looked at in tiles of a head. */
#define QXL_TILE_WIDTH		64
#define QXL_TILE_HEIGHT		16
#define QXL_TILE_COLUMNS	(QXL_MODE_MAX / QXL_TILE_WIDTH)
#define QXL_TILE_ROWS		(QXL_MODE_MAX / QXL_TILE_HEIGHT)
/* Pixels of a line that are compared as one; a tile has several. */
#define QXL_SEGMENT		16
#define QXL_TILE_SEGMENTS	(QXL_TILE_WIDTH / QXL_SEGMENT)
#define QXL_SEGMENTS		(QXL_MODE_MAX / QXL_SEGMENT)
/* The line of a row of tiles whose pixels are kept. */
#define QXL_KEY_LINE		(QXL_TILE_HEIGHT / 2)
#define QXL_GAMMA_SIZE		256

/* Commands that the device has at one time. Those of the cursor have places of their own, of one size. */
#define QXL_CURSOR_SLOTS	64
#define QXL_DRAW_SLOTS		192
#define QXL_SLOTS		(QXL_CURSOR_SLOTS + QXL_DRAW_SLOTS)
#define QXL_CURSOR_PAGES	5
/* Of the memory for commands; a device that offers more has the rest for itself. */
#define QXL_ARENA_PAGES_MAX	(64u << 20 >> 12)
#define QXL_ARENA_PAGES_MIN	(4u << 20 >> 12)
/* Of 640x480, the smallest mode there is. */
#define QXL_PRIMARY_BYTES_MIN	(640 * 480 * 4)

/* What the ROM says, after it was checked. */
struct qxl_limits {
	/* Of the picture of all heads. */
	u32 primary_bytes;
	u32 header_offset;
	u32 arena_offset;
	u32 arena_pages;
	u8 slot;
	u8 generation_bits;
	u8 id_bits;
};

/* The producer's end of a ring of commands. */
struct qxl_producer {
	struct qxl_command_ring *ring;
	u8 port;
	u32 prod;
	/* So far the device has been told. */
	u32 published;
};

struct qxl_slot {
	u32 first;
	u32 pages;
	bool is_sent;
};

/* Memory for commands: number 0 is the page of the monitors config, then come places for the cursor, then pictures. */
struct qxl_arena {
	u8 *memory;
	u32 pages;
	unsigned long *busy;
	struct qxl_slot slots[QXL_SLOTS];
	u32 release_cons;
	/* There was no memory for something, so the device is to tell when it releases some. */
	bool is_short;
	/* The device has been asked to give back what it can. */
	bool has_asked;
};

/* Which tiles are marked; only rows from `first` to `end` have any. */
struct qxl_tiles {
	u32 first;
	u32 end;
	unsigned long rows[QXL_TILE_ROWS][BITS_TO_LONGS(QXL_TILE_COLUMNS)];
};

/* What segments are hashed with; one for the seed, and one for each four pixels. */
struct qxl_hash_key {
	u64 seed;
	u64 words[QXL_SEGMENT / 4];
};

/* A column of segments that a rectangle which moved has at an edge, and their pixels, line by line; -1: none. */
struct qxl_edge {
	s32 segment;
	u32 *pixels;
};

/* What the device shows of a head when it has done all it was told. */
struct qxl_shown {
	u32 width;
	u32 height;
	/* Segments of a line. */
	u32 stride;
	/* Of each segment, line by line; the pixels that are kept lie behind, in the same memory. */
	u64 *hashes;
	u32 *keys;
	struct qxl_edge edges[2];
};

/* The colours of a head, corrected; none are when they would stay as they are. */
struct qxl_gamma {
	bool is_any;
	u8 red[QXL_GAMMA_SIZE];
	u8 green[QXL_GAMMA_SIZE];
	u8 blue[QXL_GAMMA_SIZE];
};

/* How what is on a head moved last. */
struct qxl_motion {
	s32 dx;
	s32 dy;
};

/* How often, without a break, all that a program said had changed was new; how often that is assumed from now on. */
struct qxl_habit {
	u32 tiles;
	u32 times;
	u32 pause;
};

/* What was done since the driver was bound. */
struct qxl_counters {
	u64 pictures;
	u64 picture_bytes;
	/* Of the pictures: those that were sent before, as the device was told. */
	u64 pictures_again;
	u64 fills;
	u64 copies;
	u64 cursors;
	u64 tiles_seen;
	u64 tiles_same;
	u64 waits_ring;
	u64 waits_memory;
	u64 resets;
};

struct qxl_cache;
struct qxl_search;
struct qxl_recents;

struct qxl_head_layout {
	u32 x;
	u32 width;
	u32 height;
};

/* The heads side by side in the one picture that the device shows. Heads that are off have no size. */
struct qxl_layout {
	u32 width;
	u32 height;
	struct qxl_head_layout heads[QXL_HEADS_MAX];
};

/* The framebuffer that a head shows: kept and mapped, since parts of it may be sent long after the commit. */
struct qxl_source {
	struct drm_framebuffer *fb;
	struct iosys_map map[DRM_FORMAT_MAX_PLANES];
	struct iosys_map data[DRM_FORMAT_MAX_PLANES];
	/* What of it is at the head's left upper corner, and how much of it the head shows. */
	s32 x;
	s32 y;
	u32 width;
	u32 height;
};

struct qxl_pointer {
	bool is_visible;
	s32 x;
	s32 y;
	s32 hot_x;
	s32 hot_y;
	u32 width;
	u32 height;
	/* QXL_CURSOR_MAX lines of QXL_CURSOR_MAX pixels at most, without gaps. */
	u32 *pixels;
};

struct qxl_head {
	unsigned int index;
	struct drm_plane primary;
	struct drm_plane cursor;
	struct drm_crtc crtc;
	struct drm_encoder encoder;
	struct drm_connector connector;

	/* Under the device's lock. */
	struct qxl_source source;
	/* Tiles that may differ from what the device shows. */
	struct qxl_tiles *damage;
	struct qxl_gamma gamma;
	struct qxl_shown shown;
	struct qxl_motion motion;
	struct qxl_habit habit;
	struct qxl_pointer pointer;

	/* What the client would like, under the lock of the mode configuration. */
	bool is_wanted;
	u32 wanted_x;
	u32 wanted_y;
	u32 wanted_width;
	u32 wanted_height;
};

struct qxl {
	struct drm_device drm;
	void __iomem *io;
	const struct qxl_rom *rom;
	u8 *ram_bar;
	struct qxl_ram *ram;
	u64 ram_bar_start;
	struct qxl_limits limits;

	/* Of the slot that is the RAM BAR up to the header. */
	u64 slot_address;
	struct completion io_done;
	struct workqueue_struct *works;
	struct work_struct progress;
	struct work_struct hotplug;
	struct work_struct recover;
	struct delayed_work watch;
	struct ratelimit_state recoveries;

	/* Held while the device is used: rings, memory for commands, ports but that of the interrupt. */
	struct mutex lock;
	/* It has been started, and not stopped since. */
	bool is_running;
	/* It did what it must not, or nothing; it is left alone until it was reset. */
	bool has_failed;
	bool has_primary;
	struct qxl_producer commands;
	struct qxl_producer cursor_commands;
	struct qxl_arena arena;
	struct qxl_layout layout;
	struct qxl_hash_key hash_key;
	/* For one head at a time: hashes of what its framebuffer has, tiles that were hashed, tiles that do differ. */
	u64 *now;
	size_t now_segments;
	struct qxl_tiles *seen;
	struct qxl_tiles *changed;
	/* A line of pixels, and the search for motion. */
	u32 *line;
	struct qxl_search *search;
	struct qxl_cache *cache;
	struct qxl_recents *recents;
	/* There was no room for something; commands taken and released so far, as many at the last look, since when. */
	bool is_kept_back;
	/* The device interrupts when there is room. */
	bool awaits_room;
	u64 moves;
	u64 watch_moves;
	unsigned long watch_since;
	/* Whose changes are sent first. */
	unsigned int first_head;
	struct qxl_counters counters;
	/* Wraps around. */
	atomic_t interrupts;

	/* The head whose pointer the device shows or is to show; what of it the device has not been told. */
	unsigned int pointer_head;
	bool is_pointer_shown;
	bool is_shape_stale;
	bool is_position_stale;

	struct drm_property *hotplug_mode_update;
	unsigned int heads_count;
	struct qxl_head heads[QXL_HEADS_MAX];
};

#define to_qxl(device) container_of(device, struct qxl, drm)

/* Memory shared with the device. */
static inline u32 ram_read(const __le32 *field)
{
	return le32_to_cpu(READ_ONCE(*field));
}

static inline void ram_write(__le32 *field, u32 value)
{
	WRITE_ONCE(*field, cpu_to_le32(value));
}

static inline struct qxl_rect qxl_rect_of(const struct drm_rect *rect, s32 x, s32 y)
{
	return (struct qxl_rect){
		.top = cpu_to_le32(rect->y1 + y),
		.left = cpu_to_le32(rect->x1 + x),
		.bottom = cpu_to_le32(rect->y2 + y),
		.right = cpu_to_le32(rect->x2 + x),
	};
}

/* Folds the product of two numbers, of which neither is 0 unless a key of 64 bits was guessed. */
static inline u64 qxl_hash_mix(u64 some, u64 other)
{
#ifdef CONFIG_ARCH_SUPPORTS_INT128
	__uint128_t product = (__uint128_t)some * other;

	return (u64)product ^ (u64)(product >> 64);
#else
	return some * other ^ mul_u64_u64_shr(some, other, 64);
#endif
}

/* qxl_device.c */
int qxl_device_map(struct qxl *qxl);
int qxl_device_start(struct qxl *qxl);
void qxl_device_stop(struct qxl *qxl);
void qxl_device_await_room(struct qxl *qxl);
void qxl_device_ignore_room(struct qxl *qxl);
irqreturn_t qxl_device_interrupt(int irq, void *data);
int qxl_device_run(struct qxl *qxl, u8 port, u8 value);
void qxl_device_write(struct qxl *qxl, u8 port);
void qxl_device_fail(struct qxl *qxl, const char *why);
bool qxl_device_is_usable(struct qxl *qxl);

/* qxl_rom.c */
int qxl_rom_check(struct qxl *qxl, u64 ram_bytes);
bool qxl_rom_client_monitors(struct qxl *qxl, struct qxl_client_monitors *monitors);

/* qxl_ring.c */
void qxl_ring_init(struct qxl *qxl);
bool qxl_ring_has_room(struct qxl *qxl, struct qxl_producer *producer);
void qxl_ring_push(struct qxl *qxl, struct qxl_producer *producer, u32 type, u64 address);
void qxl_ring_publish(struct qxl *qxl, struct qxl_producer *producer);

/* qxl_arena.c */
int qxl_arena_init(struct qxl *qxl);
void qxl_arena_reset(struct qxl *qxl);
int qxl_arena_take_cursor(struct qxl *qxl);
int qxl_arena_take_draw(struct qxl *qxl, u32 bytes);
void *qxl_arena_memory(struct qxl *qxl, int slot);
u64 qxl_arena_address(struct qxl *qxl, int slot);
void qxl_arena_send(struct qxl *qxl, int slot);
bool qxl_arena_collect(struct qxl *qxl);
void qxl_arena_ask(struct qxl *qxl);
u32 qxl_arena_picture_bytes(struct qxl *qxl);

/* qxl_pixels.c */
u32 *qxl_source_copy(struct qxl *qxl, struct qxl_head *head, s32 x, s32 y, u32 count);
const u32 *qxl_source_at(struct qxl *qxl, struct qxl_head *head, s32 x, s32 y, u32 count);
bool qxl_pixels_differ(const u32 *some, const u32 *others, u32 count);
void qxl_hash_init(struct qxl_hash_key *key);
u64 qxl_hash(const struct qxl_hash_key *key, const u32 *pixels);
u64 qxl_hash_colour(const struct qxl_hash_key *key, u32 colour, u32 count);
void qxl_hash_line(const struct qxl_hash_key *key, const u32 *pixels, u32 count, u64 *hashes);
void qxl_hash_copy(const struct qxl_hash_key *key, u32 *to, const u32 *from, u32 count, u64 *hashes);

/* qxl_shown.c */
void qxl_shown_reset(struct qxl *qxl);
void qxl_shown_free(struct qxl *qxl);
bool qxl_shown_is_known(const struct qxl *qxl, const struct qxl_head *head);
u64 *qxl_shown_at(const struct qxl_head *head, u32 segment, s32 y);
u64 *qxl_now_at(const struct qxl *qxl, const struct qxl_head *head, u32 segment, s32 y);
u32 *qxl_shown_key(const struct qxl_head *head, u32 row);
bool qxl_shown_differs(const struct qxl *qxl, const struct qxl_head *head, u32 first, u32 end, s32 y);
void qxl_shown_trim(const struct qxl *qxl, const struct qxl_head *head, struct drm_rect *rect);
void qxl_shown_fill(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, u32 colour);
bool qxl_shown_is_colour(const struct qxl *qxl, const struct qxl_head *head, const struct drm_rect *rect, u32 colour);
void qxl_shown_keep(struct qxl *qxl, struct qxl_head *head, u32 column, u32 row, u32 width, u32 height);

/* qxl_moved.c */
void qxl_moved(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, s32 dx, s32 dy);

/* qxl_recent.c */
int qxl_recent_init(struct qxl *qxl);
void qxl_recent_keep(struct qxl *qxl, struct qxl_head *head, u32 column, u32 row, u32 width, u32 height);
u32 *qxl_recent_at(struct qxl *qxl, const struct qxl_head *head, u32 segment, s32 y);
void qxl_recent_trim(struct qxl *qxl, struct qxl_head *head, struct drm_rect *rect);
void qxl_recent_drawn(struct qxl *qxl, struct qxl_head *head, s32 x, s32 y, const u32 *pixels, u32 count);

/* qxl_tiles.c */
void qxl_tiles_mark(struct qxl_tiles *tiles, const struct drm_rect *rect);
void qxl_tiles_clear(struct qxl_tiles *tiles);
void qxl_tiles_copy(struct qxl_tiles *to, const struct qxl_tiles *from);
void qxl_tiles_clip(struct qxl_tiles *tiles, u32 width, u32 height);
u32 qxl_tiles_count(const struct qxl_tiles *tiles);
void qxl_tiles_simplify(struct qxl_tiles *tiles, u32 most);
void qxl_tiles_fill(struct qxl_tiles *tiles);
bool qxl_tiles_take(struct qxl_tiles *tiles, struct drm_rect *rect);

/* qxl_look.c */
void qxl_look(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height);
void qxl_look_again(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, u32 width, u32 height);
void qxl_look_rest(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height);
void qxl_look_keep(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height);
bool qxl_look_is_small(const struct qxl *qxl);
void qxl_look_keep_small(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height);

/* qxl_motion.c */
bool qxl_motion_find(struct qxl *qxl, struct qxl_head *head, u32 width, u32 height, struct drm_rect *rect,
		     s32 *dx, s32 *dy);
size_t qxl_motion_bytes(void);

/* qxl_cache.c */
int qxl_cache_init(struct qxl *qxl);
u32 qxl_cache_number(struct qxl *qxl, const struct qxl_head *head, const struct drm_rect *rect, const void *pixels);

/* qxl_command.c */
u32 qxl_command_lines(struct qxl *qxl, u32 width);
bool qxl_command_picture(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect);
bool qxl_command_fill(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, u32 colour);
bool qxl_command_copy(struct qxl *qxl, struct qxl_head *head, const struct drm_rect *rect, s32 dx, s32 dy);

/* qxl_draw.c */
int qxl_draw_init(struct qxl *qxl);
void qxl_draw_all(struct qxl *qxl);
void qxl_draw_watch(struct qxl *qxl);
void qxl_draw_damage(struct qxl *qxl, struct qxl_head *head);
void qxl_draw_restart(struct qxl *qxl);

/* qxl_kms.c */
int qxl_kms_init(struct qxl *qxl);

/* qxl_layout.c */
bool qxl_layout_is_changed(struct drm_atomic_state *state);
int qxl_layout_complete(struct qxl *qxl, struct drm_atomic_state *state);
int qxl_layout_check(struct qxl *qxl, struct drm_atomic_state *state);
void qxl_layout_commit(struct qxl *qxl, struct drm_atomic_state *state);
void qxl_layout_program(struct qxl *qxl);

/* qxl_plane.c */
int qxl_plane_init(struct qxl *qxl, struct qxl_head *head);
void qxl_plane_forget(struct qxl *qxl, struct qxl_head *head);

/* qxl_cursor.c */
int qxl_cursor_init(struct qxl *qxl, struct qxl_head *head);
void qxl_cursor_forget(struct qxl *qxl, struct qxl_head *head);
void qxl_cursor_flush(struct qxl *qxl);

/* qxl_monitors.c */
int qxl_monitors_init(struct qxl *qxl, struct qxl_head *head);
int qxl_monitors_create_properties(struct qxl *qxl);
bool qxl_monitors_read(struct qxl *qxl);

/* qxl_debugfs.c */
void qxl_debugfs_init(struct drm_minor *minor);

#endif
