// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The ROM: where things are in the RAM BAR, and what the client wants. The device may write it at any time, so it is
 * copied once and the copy is checked.
 */
#include <linux/crc32.h>
#include <linux/delay.h>

#include "qxl.h"

/* The device writes the block before its sum, so a block that does not fit its sum is being written. */
#define QXL_READS		10
#define QXL_READ_PAUSE_US	50

int qxl_rom_check(struct qxl *qxl, u64 ram_bytes)
{
	struct qxl_limits *limits = &qxl->limits;
	struct qxl_rom rom;
	u64 arena_end;

	memcpy(&rom, qxl->rom, sizeof(rom));
	if (le32_to_cpu(rom.magic) != QXL_ROM_MAGIC) {
		drm_err(&qxl->drm, "magic of the ROM is %#x, not %#x\n", le32_to_cpu(rom.magic), QXL_ROM_MAGIC);
		return -ENODEV;
	}
	limits->header_offset = le32_to_cpu(rom.ram_header_offset);
	limits->primary_bytes = le32_to_cpu(rom.surface0_area_size);
	limits->arena_offset = le32_to_cpu(rom.pages_offset);
	limits->arena_pages = le32_to_cpu(rom.num_pages);
	limits->slot = rom.slots_start;
	limits->generation_bits = rom.slot_gen_bits;
	limits->id_bits = rom.slot_id_bits;

	if (limits->header_offset % QXL_PAGE_BYTES || limits->header_offset + (u64)sizeof(struct qxl_ram) > ram_bytes) {
		drm_err(&qxl->drm, "the RAM header is at %#x, the RAM has %#llx bytes\n", limits->header_offset,
			ram_bytes);
		return -ENODEV;
	}
	arena_end = limits->arena_offset + (u64)limits->arena_pages * QXL_PAGE_BYTES;
	if (le32_to_cpu(rom.draw_area_offset) || limits->arena_offset % QXL_PAGE_BYTES ||
	    limits->primary_bytes > limits->arena_offset || arena_end > limits->header_offset) {
		drm_err(&qxl->drm, "areas overlap: picture %#x + %#x, pages %#x to %#llx, header %#x\n",
			le32_to_cpu(rom.draw_area_offset), limits->primary_bytes, limits->arena_offset, arena_end,
			limits->header_offset);
		return -ENODEV;
	}
	if (limits->primary_bytes < QXL_PRIMARY_BYTES_MIN) {
		drm_err(&qxl->drm, "%#x bytes for the picture, not at least %#x\n", limits->primary_bytes,
			QXL_PRIMARY_BYTES_MIN);
		return -ENODEV;
	}
	if (limits->arena_pages < QXL_ARENA_PAGES_MIN) {
		drm_err(&qxl->drm, "%u pages for commands, not at least %u\n", limits->arena_pages,
			QXL_ARENA_PAGES_MIN);
		return -ENODEV;
	}
	limits->arena_pages = min(limits->arena_pages, QXL_ARENA_PAGES_MAX);
	/* What is left of an address for the offset must reach all of the BAR. */
	if (!limits->id_bits || limits->id_bits > 16 || limits->generation_bits > 16 || limits->slot > rom.slots_end ||
	    limits->slot >> limits->id_bits) {
		drm_err(&qxl->drm, "slots %u to %u, %u bits of an id, %u of a generation\n", limits->slot,
			rom.slots_end, limits->id_bits, limits->generation_bits);
		return -ENODEV;
	}
	return 0;
}

/* Whether there is a whole one. */
bool qxl_rom_client_monitors(struct qxl *qxl, struct qxl_client_monitors *monitors)
{
	unsigned int i;

	for (i = 0; i < QXL_READS; i++) {
		u32 sum = ram_read(&qxl->rom->client_monitors_crc);

		/* The sum is read before the block, which is written before it. */
		virt_rmb();
		memcpy(monitors, &qxl->rom->client_monitors, sizeof(*monitors));
		if (crc32_le(0, (const u8 *)monitors, sizeof(*monitors)) == sum)
			return true;
		usleep_range(QXL_READ_PAUSE_US, 2 * QXL_READ_PAUSE_US);
	}
	return false;
}
