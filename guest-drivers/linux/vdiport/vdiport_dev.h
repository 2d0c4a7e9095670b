/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the VDIPort device has: registers, and memory shared with it. All numbers are little-endian, all structures
 * without holes.
 */
#ifndef VDIPORT_DEV_H
#define VDIPORT_DEV_H

#include <linux/build_bug.h>
#include <linux/types.h>

#define VDIPORT_VENDOR_ID	0x1b36
#define VDIPORT_DEVICE_ID	0x0105
#define VDIPORT_REVISION	0x01

/* BARs, and offsets of the registers in the first one: 32 bits each. */
#define VDIPORT_IO_BAR		0
#define VDIPORT_RAM_BAR		1
/* Read: connects, and is the new generation, or 0 when something is connected. Written: disconnects. */
#define VDIPORT_CONNECTION	0
/* Written: the other side's mark has been passed in a ring. */
#define VDIPORT_NOTIFY		4
/* Written: the level of the interrupt follows int_pending and int_mask. */
#define VDIPORT_UPDATE_IRQ	8
#define VDIPORT_IO_BYTES	12

#define VDIPORT_MAGIC		0x50494456
#define VDIPORT_INTERRUPT	0x00000001
#define VDIPORT_ITEMS		32
#define VDIPORT_PACKET_BYTES	504

struct vdiport_packet {
	__le32 gen;
	__le32 size;
	u8 data[VDIPORT_PACKET_BYTES];
};

/* Counters run freely; an item is at its counter modulo the number of items. */
struct vdiport_ring {
	__le32 num_items;
	__le32 prod;
	__le32 notify_on_prod;
	__le32 cons;
	__le32 notify_on_cons;
	struct vdiport_packet items[VDIPORT_ITEMS];
};

/* The names of the rings are the host's: what is written here goes into "input". */
struct vdiport_ram {
	__le32 magic;
	__le32 generation;
	u32 int_pending;
	__le32 int_mask;
	struct vdiport_ring input;
	struct vdiport_ring output;
	__le32 reserved[32];
};

static_assert(sizeof(struct vdiport_packet) == 512);
static_assert(sizeof(struct vdiport_ring) == 16404);
static_assert(sizeof(struct vdiport_ram) == 32952);

#endif
