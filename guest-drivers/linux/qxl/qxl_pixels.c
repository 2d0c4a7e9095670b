// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Lines of pixels of the framebuffer of a head, as its screen is to show them, and hashes of them.
 *
 * Programs draw into their framebuffers at any time. What is sent of one is read once, into the command, and hashed on
 * its way: were it read twice, the two could differ, and the difference would never be sent.
 */
#include <drm/drm_framebuffer.h>
#include <linux/random.h>

#include "qxl.h"

/* The fourth byte is nothing that is shown. */
#define QXL_PIXEL_MASK		0x00ffffffu
#define QXL_PIXELS_MASK		0x00ffffff00ffffffull

static void qxl_pixels_correct(const struct qxl_gamma *gamma, u32 *pixels, u32 count)
{
	for (; count; count--, pixels++)
		*pixels = gamma->red[*pixels >> 16 & 0xff] << 16 | gamma->green[*pixels >> 8 & 0xff] << 8 |
			  gamma->blue[*pixels & 0xff];
}

/* Pixels of a head's framebuffer from a place on, in a buffer that is good until the next call. */
u32 *qxl_source_copy(struct qxl *qxl, struct qxl_head *head, s32 x, s32 y, u32 count)
{
	struct qxl_source *source = &head->source;
	size_t offset = (size_t)(y + source->y) * source->fb->pitches[0] + (size_t)(x + source->x) * sizeof(u32);

	iosys_map_memcpy_from(qxl->line, &source->data[0], offset, count * sizeof(u32));
	if (head->gamma.is_any)
		qxl_pixels_correct(&head->gamma, qxl->line, count);
	return qxl->line;
}

/* The same, but they may be where the program has them, and may change. They are aligned for two at a time. */
const u32 *qxl_source_at(struct qxl *qxl, struct qxl_head *head, s32 x, s32 y, u32 count)
{
	struct qxl_source *source = &head->source;
	const struct iosys_map *map = &source->data[0];
	size_t offset = (size_t)(y + source->y) * source->fb->pitches[0] + (size_t)(x + source->x) * sizeof(u32);

	if (!map->is_iomem && !head->gamma.is_any && IS_ALIGNED((unsigned long)map->vaddr + offset, sizeof(u64)))
		return map->vaddr + offset;
	return qxl_source_copy(qxl, head, x, y, count);
}

bool qxl_pixels_differ(const u32 *some, const u32 *others, u32 count)
{
	for (; count; count--, some++, others++)
		if ((*some ^ *others) & QXL_PIXEL_MASK)
			return true;
	return false;
}

void qxl_hash_init(struct qxl_hash_key *key)
{
	get_random_bytes(key, sizeof(*key));
}

/* Of four pixels more. */
static u64 qxl_hash_four(u64 hash, u64 key, u64 two, u64 more)
{
	return qxl_hash_mix((two & QXL_PIXELS_MASK) ^ key, (more & QXL_PIXELS_MASK) ^ hash);
}

/* Of the pixels of a segment. Never 0. */
static inline u64 qxl_hash_segment(const struct qxl_hash_key *key, const u32 *pixels)
{
	u64 hash = key->seed;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(key->words); i++, pixels += 4)
		hash = qxl_hash_four(hash, key->words[i], get_unaligned((const u64 *)pixels),
				     get_unaligned((const u64 *)(pixels + 2)));
	return hash ?: 1;
}

u64 qxl_hash(const struct qxl_hash_key *key, const u32 *pixels)
{
	return qxl_hash_segment(key, pixels);
}

/* Of fewer, as if the others were black. */
static u64 qxl_hash_part(const struct qxl_hash_key *key, const u32 *pixels, u32 count)
{
	u32 padded[QXL_SEGMENT] = {};

	memcpy(padded, pixels, count * sizeof(u32));
	return qxl_hash(key, padded);
}

/* Of a segment of one colour, `count` pixels long. */
u64 qxl_hash_colour(const struct qxl_hash_key *key, u32 colour, u32 count)
{
	u32 pixels[QXL_SEGMENT];

	memset32(pixels, colour, count);
	return qxl_hash_part(key, pixels, count);
}

/* Of each segment of a line; the last one may be shorter. */
void qxl_hash_line(const struct qxl_hash_key *key, const u32 *pixels, u32 count, u64 *hashes)
{
	for (; count >= QXL_SEGMENT; count -= QXL_SEGMENT, pixels += QXL_SEGMENT)
		*hashes++ = qxl_hash_segment(key, pixels);
	if (count)
		*hashes = qxl_hash_part(key, pixels, count);
}

/* Copies a line, and hashes each segment of what was copied. */
void qxl_hash_copy(const struct qxl_hash_key *key, u32 *to, const u32 *from, u32 count, u64 *hashes)
{
	for (; count >= QXL_SEGMENT; count -= QXL_SEGMENT) {
		u64 hash = key->seed;
		u32 i;

		for (i = 0; i < ARRAY_SIZE(key->words); i++, from += 4, to += 4) {
			u64 two = READ_ONCE(*(const u64 *)from);
			u64 more = READ_ONCE(*(const u64 *)(from + 2));

			put_unaligned(two, (u64 *)to);
			put_unaligned(more, (u64 *)(to + 2));
			hash = qxl_hash_four(hash, key->words[i], two, more);
		}
		*hashes++ = hash ?: 1;
	}
	if (count) {
		memcpy(to, from, count * sizeof(u32));
		*hashes = qxl_hash_part(key, to, count);
	}
}
