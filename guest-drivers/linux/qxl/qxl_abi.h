/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the QXL device has: ports, its ROM, the header in its RAM, and the commands it reads. All numbers are
 * little-endian, all structures without holes.
 */
#ifndef QXL_ABI_H
#define QXL_ABI_H

#include <linux/build_bug.h>
#include <linux/types.h>

#define QXL_VENDOR_ID		0x1b36
#define QXL_DEVICE_ID		0x0100
/* The first revision that tells the layout a client asks for. */
#define QXL_REVISION_MIN	4

#define QXL_RAM_BAR		0
#define QXL_ROM_BAR		2
#define QXL_IO_BAR		3
#define QXL_IO_BYTES		32

/* Ports, written one byte at a time. */
#define QXL_PORT_NOTIFY_CMD		0
#define QXL_PORT_NOTIFY_CURSOR		1
#define QXL_PORT_UPDATE_IRQ		3
#define QXL_PORT_NOTIFY_OOM		4
#define QXL_PORT_RESET			5
/* These end with QXL_INT_IO_CMD; one at a time. */
#define QXL_PORT_MEMSLOT_ADD_ASYNC	17
#define QXL_PORT_CREATE_PRIMARY_ASYNC	18
#define QXL_PORT_DESTROY_PRIMARY_ASYNC	19
#define QXL_PORT_MONITORS_CONFIG_ASYNC	24

#define QXL_INT_DISPLAY			0x01
#define QXL_INT_CURSOR			0x02
#define QXL_INT_IO_CMD			0x04
#define QXL_INT_ERROR			0x08
#define QXL_INT_CLIENT_MONITORS		0x20

#define QXL_ROM_MAGIC		0x4f525851
#define QXL_RAM_MAGIC		0x41525851
#define QXL_PAGE_BYTES		4096

/* Edges; right and bottom are outside. */
struct qxl_rect {
	__le32 top;
	__le32 left;
	__le32 bottom;
	__le32 right;
} __packed;

#define QXL_CLIENT_HEADS	64

struct qxl_client_monitors {
	__le16 count;
	__le16 padding;
	struct qxl_rect heads[QXL_CLIENT_HEADS];
} __packed;

struct qxl_rom {
	__le32 magic;
	__le32 id;
	__le32 update_id;
	__le32 compression_level;
	__le32 log_level;
	__le32 mode;
	__le32 modes_offset;
	__le32 num_pages;
	__le32 pages_offset;
	__le32 draw_area_offset;
	__le32 surface0_area_size;
	__le32 ram_header_offset;
	__le32 mm_clock;
	__le32 n_surfaces;
	__le64 flags;
	u8 slots_start;
	u8 slots_end;
	u8 slot_gen_bits;
	u8 slot_id_bits;
	u8 slot_generation;
	u8 client_present;
	u8 client_capabilities[58];
	/* CRC-32, reflected, from 0 and not inverted, of what follows. */
	__le32 client_monitors_crc;
	struct qxl_client_monitors client_monitors;
} __packed;

/* Counters run freely; an item is at its counter modulo the number of items. */
struct qxl_ring {
	__le32 num_items;
	__le32 prod;
	__le32 notify_on_prod;
	__le32 cons;
	__le32 notify_on_cons;
} __packed;

#define QXL_COMMAND_DRAW	1
#define QXL_COMMAND_CURSOR	3

struct qxl_command {
	__le64 data;
	__le32 type;
	__le32 padding;
} __packed;

#define QXL_COMMANDS		32
#define QXL_RELEASES		8

struct qxl_command_ring {
	struct qxl_ring ring;
	struct qxl_command items[QXL_COMMANDS];
} __packed;

struct qxl_release_ring {
	struct qxl_ring ring;
	__le64 items[QXL_RELEASES];
} __packed;

#define QXL_SURFACE_32_XRGB	32

struct qxl_surface_create {
	__le32 width;
	__le32 height;
	__le32 stride;
	__le32 format;
	__le32 position;
	__le32 mouse_mode;
	__le32 flags;
	__le32 type;
	__le64 mem;
} __packed;

struct qxl_ram {
	__le32 magic;
	u32 int_pending;
	__le32 int_mask;
	u8 log_buf[4096];
	struct qxl_command_ring cmd_ring;
	struct qxl_command_ring cursor_ring;
	struct qxl_release_ring release_ring;
	struct qxl_rect update_area;
	__le32 update_surface;
	__le64 mem_slot_start;
	__le64 mem_slot_end;
	struct qxl_surface_create create_surface;
	__le64 flags;
	__le64 monitors_config;
} __packed;

struct qxl_monitor {
	__le32 id;
	__le32 surface_id;
	__le32 width;
	__le32 height;
	__le32 x;
	__le32 y;
	__le32 flags;
} __packed;

#define QXL_HEADS_MAX		16

struct qxl_monitors_config {
	__le16 count;
	__le16 max_allowed;
	struct qxl_monitor heads[QXL_HEADS_MAX];
} __packed;

struct qxl_point {
	__le32 x;
	__le32 y;
} __packed;

#define QXL_CLIP_NONE		0

struct qxl_clip {
	__le32 type;
	__le64 data;
} __packed;

struct qxl_mask {
	u8 flags;
	struct qxl_point position;
	__le64 bitmap;
} __packed;

#define QXL_ROP_PUT		8
#define QXL_SCALE_NEAREST	1

struct qxl_copy {
	__le64 src_bitmap;
	struct qxl_rect src_area;
	__le16 rop;
	u8 scale_mode;
	struct qxl_mask mask;
} __packed;

#define QXL_BRUSH_SOLID		1

struct qxl_brush {
	__le32 type;
	__le32 colour;
	u8 padding[12];
} __packed;

struct qxl_fill {
	struct qxl_brush brush;
	__le16 rop;
	struct qxl_mask mask;
} __packed;

/* Of the same surface. */
struct qxl_copy_bits {
	struct qxl_point source;
} __packed;

#define QXL_EFFECT_OPAQUE	1
#define QXL_DRAW_FILL		1
#define QXL_DRAW_COPY		3
#define QXL_DRAW_COPY_BITS	4

struct qxl_drawable {
	/* Ours until the command is done with; then the number of the next one that is. */
	__le64 release_id;
	__le32 surface_id;
	u8 effect;
	u8 type;
	u8 self_bitmap;
	struct qxl_rect self_bitmap_area;
	struct qxl_rect bbox;
	struct qxl_clip clip;
	__le32 mm_time;
	__le32 surfaces_dest[3];
	struct qxl_rect surfaces_rects[3];
	union {
		struct qxl_fill fill;
		struct qxl_copy copy;
		struct qxl_copy_bits copy_bits;
		u8 bytes[68];
	} u;
} __packed;

#define QXL_IMAGE_BITMAP	0
/* The client may keep it: the same id is the same pixels. Of an id, the lower half is a group; 0 is the driver's. */
#define QXL_IMAGE_CACHE		1
#define QXL_IMAGE_ID_SHIFT	32
#define QXL_BITMAP_32BIT	8
#define QXL_BITMAP_TOP_DOWN	4

struct qxl_image {
	__le64 id;
	u8 type;
	u8 flags;
	__le32 width;
	__le32 height;
	u8 bitmap_format;
	u8 bitmap_flags;
	__le32 bitmap_width;
	__le32 bitmap_height;
	__le32 bitmap_stride;
	__le64 bitmap_palette;
	__le64 bitmap_data;
} __packed;

struct qxl_chunk {
	__le32 data_size;
	__le64 prev_chunk;
	__le64 next_chunk;
	u8 data[];
} __packed;

#define QXL_CURSOR_SET		0
#define QXL_CURSOR_MOVE		1
#define QXL_CURSOR_HIDE		2

struct qxl_cursor_command {
	__le64 release_id;
	u8 type;
	__le16 x;
	__le16 y;
	u8 visible;
	__le64 shape;
	u8 device_data[128];
} __packed;

#define QXL_SHAPE_ALPHA		0

struct qxl_shape {
	__le64 unique;
	__le16 type;
	__le16 width;
	__le16 height;
	__le16 hot_x;
	__le16 hot_y;
	__le32 data_size;
	struct qxl_chunk chunk;
} __packed;

static_assert(sizeof(struct qxl_rect) == 16);
static_assert(sizeof(struct qxl_client_monitors) == 1028);
static_assert(offsetof(struct qxl_rom, client_monitors) == 0x84);
static_assert(sizeof(struct qxl_rom) == 1160);
static_assert(sizeof(struct qxl_command_ring) == 532);
static_assert(sizeof(struct qxl_release_ring) == 84);
static_assert(sizeof(struct qxl_surface_create) == 40);
static_assert(offsetof(struct qxl_ram, create_surface) == 0x14ac);
static_assert(sizeof(struct qxl_ram) == 5348);
static_assert(sizeof(struct qxl_monitor) == 28);
static_assert(sizeof(struct qxl_fill) == 39);
static_assert(sizeof(struct qxl_copy) == 44);
static_assert(offsetof(struct qxl_drawable, u) == 0x7b);
static_assert(sizeof(struct qxl_drawable) == 191);
static_assert(sizeof(struct qxl_image) == 48);
static_assert(sizeof(struct qxl_chunk) == 20);
static_assert(sizeof(struct qxl_cursor_command) == 150);
static_assert(sizeof(struct qxl_shape) == 42);

#endif
