// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Memory for commands, in the RAM BAR. A command keeps its memory until the device says that it is done with it: a
 * chain of numbers in the release ring. The numbers are those of our slots and one more, since 0 ends a chain. They
 * have been in memory of the device, so each is checked to be of a command that was sent.
 */
#include <asm/barrier.h>
#include <drm/drm_managed.h>
#include <linux/sizes.h>

#include "qxl.h"

#define QXL_CURSOR_FIRST	1
#define QXL_DRAW_FIRST		(QXL_CURSOR_FIRST + QXL_CURSOR_SLOTS * QXL_CURSOR_PAGES)
/* Of a picture: one for a whole screen lets the device find video, but several are to fit. */
#define QXL_PICTURE_BYTES	((u32)SZ_16M)

int qxl_arena_init(struct qxl *qxl)
{
	struct qxl_arena *arena = &qxl->arena;

	arena->memory = qxl->ram_bar + qxl->limits.arena_offset;
	arena->pages = qxl->limits.arena_pages;
	arena->busy = drmm_kcalloc(&qxl->drm, BITS_TO_LONGS(arena->pages), sizeof(*arena->busy), GFP_KERNEL);
	return arena->busy ? 0 : -ENOMEM;
}

/* All commands are forgotten: the device has been reset. */
void qxl_arena_reset(struct qxl *qxl)
{
	struct qxl_arena *arena = &qxl->arena;
	unsigned int i;

	bitmap_zero(arena->busy, arena->pages);
	bitmap_set(arena->busy, 0, QXL_DRAW_FIRST);
	memset(arena->slots, 0, sizeof(arena->slots));
	for (i = 0; i < QXL_CURSOR_SLOTS; i++)
		arena->slots[i].first = QXL_CURSOR_FIRST + i * QXL_CURSOR_PAGES;
	arena->release_cons = 0;
	arena->is_short = false;
	arena->has_asked = false;
}

/* A slot for a command with its shape, or less than 0. It is free until it is sent. */
int qxl_arena_take_cursor(struct qxl *qxl)
{
	int slot;

	for (slot = 0; slot < QXL_CURSOR_SLOTS; slot++)
		if (!qxl->arena.slots[slot].is_sent)
			return slot;
	return -ENOSPC;
}

/* A slot for a command of `bytes`, or less than 0. It must be sent. */
int qxl_arena_take_draw(struct qxl *qxl, u32 bytes)
{
	struct qxl_arena *arena = &qxl->arena;
	u32 pages = DIV_ROUND_UP(bytes, QXL_PAGE_BYTES);
	unsigned long first;
	int slot;

	for (slot = QXL_CURSOR_SLOTS; slot < QXL_SLOTS; slot++)
		if (!arena->slots[slot].is_sent)
			break;
	if (slot == QXL_SLOTS)
		return -ENOSPC;
	first = bitmap_find_next_zero_area(arena->busy, arena->pages, QXL_DRAW_FIRST, pages, 0);
	if (first >= arena->pages)
		return -ENOSPC;
	bitmap_set(arena->busy, first, pages);
	arena->slots[slot].first = first;
	arena->slots[slot].pages = pages;
	return slot;
}

void *qxl_arena_memory(struct qxl *qxl, int slot)
{
	return qxl->arena.memory + (size_t)qxl->arena.slots[slot].first * QXL_PAGE_BYTES;
}

u64 qxl_arena_address(struct qxl *qxl, int slot)
{
	return qxl->slot_address + qxl->limits.arena_offset + (u64)qxl->arena.slots[slot].first * QXL_PAGE_BYTES;
}

/* The command is complete and about to be pushed; its first bytes are the number that comes back. */
void qxl_arena_send(struct qxl *qxl, int slot)
{
	put_unaligned_le64(slot + 1, (__le64 *)qxl_arena_memory(qxl, slot));
	qxl->arena.slots[slot].is_sent = true;
}

/* Frees the commands of a chain; each is freed once, so a chain has an end. */
static bool qxl_arena_release(struct qxl *qxl, u64 id)
{
	struct qxl_arena *arena = &qxl->arena;

	if (!id) {
		qxl_device_fail(qxl, "a chain of released commands is empty");
		return false;
	}
	while (id) {
		struct qxl_slot *slot;

		if (id > QXL_SLOTS || !arena->slots[id - 1].is_sent) {
			qxl_device_fail(qxl, "a command was released that was not sent");
			return false;
		}
		slot = &arena->slots[id - 1];
		id = get_unaligned_le64(arena->memory + (size_t)slot->first * QXL_PAGE_BYTES);
		slot->is_sent = false;
		qxl->moves++;
		if (slot->pages)
			bitmap_clear(arena->busy, slot->first, slot->pages);
	}
	return true;
}

/* Frees what the device is done with; whether it was anything. The device tells when there is more. */
bool qxl_arena_collect(struct qxl *qxl)
{
	struct qxl_release_ring *ring = &qxl->ram->release_ring;
	struct qxl_arena *arena = &qxl->arena;
	bool is_any = false;
	u32 rounds = 0;

	lockdep_assert_held(&qxl->lock);
	while (qxl_device_is_usable(qxl)) {
		u32 waiting = ram_read(&ring->ring.prod) - arena->release_cons;
		u64 id;

		/* No more can be released than were sent, and for each the ring can be found empty once. */
		if (rounds++ > 2 * QXL_SLOTS) {
			qxl_device_fail(qxl, "the counter of the release ring runs to and fro");
			break;
		}
		if (waiting > QXL_RELEASES) {
			qxl_device_fail(qxl, "the release ring has more items than places");
			break;
		}
		if (!waiting) {
			/* An interrupt for each release would be for nothing as long as there is memory. */
			if (!arena->is_short)
				break;
			ram_write(&ring->ring.notify_on_prod, arena->release_cons + 1);
			qxl_device_await_room(qxl);
			/* The device writes its counter and then reads the mark: here it is the other way round. */
			virt_mb();
			if (ram_read(&ring->ring.prod) == arena->release_cons)
				break;
			continue;
		}
		/* The item is read after the counter that says it is there. */
		virt_rmb();
		id = get_unaligned_le64(&ring->items[arena->release_cons % QXL_RELEASES]);
		/* And given back after it was read. */
		virt_mb();
		ram_write(&ring->ring.cons, ++arena->release_cons);
		if (!qxl_arena_release(qxl, id))
			break;
		is_any = true;
		arena->has_asked = false;
	}
	return is_any;
}

/* There is no memory left: a device that collects what it is done with is to hand it over. Once, until it has. */
void qxl_arena_ask(struct qxl *qxl)
{
	if (qxl->arena.has_asked)
		return;
	qxl->arena.has_asked = true;
	qxl_device_write(qxl, QXL_PORT_NOTIFY_OOM);
}

/* The most of a picture with its command. */
u32 qxl_arena_picture_bytes(struct qxl *qxl)
{
	return min(QXL_PICTURE_BYTES, (qxl->arena.pages - QXL_DRAW_FIRST) / 4 * QXL_PAGE_BYTES);
}
