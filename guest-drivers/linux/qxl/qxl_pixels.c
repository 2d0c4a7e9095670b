// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Lines of pixels: of the framebuffer of a head, as its screen is to show them, and of the shadow, which has what the
 * device shows.
 *
 * Programs draw into their framebuffers at any time. What is taken from one is read once, into the shadow and the
 * command alike: had the two different pixels, the difference would never be sent.
 */
#include <drm/drm_framebuffer.h>
#include <linux/mm.h>

#include "qxl.h"

/* The fourth byte is nothing that is shown. */
#define QXL_PIXEL_MASK		0x00ffffffu
#define QXL_PIXELS_MASK		0x00ffffff00ffffffull

/* Memory for the shadow of the layout, all of it black. Without it everything that may differ is sent. */
void qxl_shadow_reset(struct qxl *qxl)
{
	struct qxl_shadow *shadow = &qxl->shadow;
	size_t bytes = (size_t)qxl->layout.width * qxl->layout.height * sizeof(u32);

	if (shadow->bytes < bytes) {
		kvfree(shadow->pixels);
		shadow->pixels = kvmalloc(bytes, GFP_KERNEL | __GFP_NOWARN);
		shadow->bytes = shadow->pixels ? bytes : 0;
	}
	if (shadow->pixels)
		memset(shadow->pixels, 0, bytes);
}

void qxl_shadow_free(struct qxl *qxl)
{
	kvfree(qxl->shadow.pixels);
	qxl->shadow = (struct qxl_shadow){};
}

/* Pixels of the shadow from a place of a head on. */
u32 *qxl_shadow_at(struct qxl *qxl, const struct qxl_head *head, s32 x, s32 y)
{
	return qxl->shadow.pixels + (size_t)y * qxl->layout.width + qxl->layout.heads[head->index].x + x;
}

static void qxl_pixels_correct(const struct qxl_gamma *gamma, u32 *pixels, u32 count)
{
	for (; count; count--, pixels++)
		*pixels = gamma->red[*pixels >> 16 & 0xff] << 16 | gamma->green[*pixels >> 8 & 0xff] << 8 |
			  gamma->blue[*pixels & 0xff];
}

/*
 * Pixels of a head's framebuffer from a place on. They are where the program has them, and may change, or in a buffer
 * that is good until the next call.
 */
const u32 *qxl_source_at(struct qxl *qxl, struct qxl_head *head, s32 x, s32 y, u32 count)
{
	struct qxl_source *source = &head->source;
	const struct iosys_map *map = &source->data[0];
	size_t offset = (size_t)(y + source->y) * source->fb->pitches[0] + (size_t)(x + source->x) * sizeof(u32);

	if (!map->is_iomem && !head->gamma.is_any && IS_ALIGNED((unsigned long)map->vaddr + offset, sizeof(u32)))
		return map->vaddr + offset;
	iosys_map_memcpy_from(qxl->line, map, offset, count * sizeof(u32));
	if (head->gamma.is_any)
		qxl_pixels_correct(&head->gamma, qxl->line, count);
	return qxl->line;
}

/* The bits in which two pixels and two others differ. */
static u64 qxl_pixels_differing(const u32 *some, const u32 *others)
{
	return get_unaligned((const u64 *)some) ^ get_unaligned((const u64 *)others);
}

bool qxl_pixels_differ(const u32 *some, const u32 *others, u32 count)
{
	/* Most of what is compared is long and the same: eight at a time. */
	for (; count >= 8; count -= 8, some += 8, others += 8)
		if ((qxl_pixels_differing(some, others) | qxl_pixels_differing(some + 2, others + 2) |
		     qxl_pixels_differing(some + 4, others + 4) | qxl_pixels_differing(some + 6, others + 6)) &
		    QXL_PIXELS_MASK)
			return true;
	for (; count; count--, some++, others++)
		if ((*some ^ *others) & QXL_PIXEL_MASK)
			return true;
	return false;
}

/* How many pixels at the begin are the same. */
u32 qxl_pixels_same(const u32 *some, const u32 *others, u32 count)
{
	u32 i = 0;

	while (i + 1 < count && !(qxl_pixels_differing(some + i, others + i) & QXL_PIXELS_MASK))
		i += 2;
	while (i < count && !((some[i] ^ others[i]) & QXL_PIXEL_MASK))
		i++;
	return i;
}

/* How many pixels at the end are the same. */
u32 qxl_pixels_same_last(const u32 *some, const u32 *others, u32 count)
{
	u32 i = 0;

	while (i < count && !((some[count - 1 - i] ^ others[count - 1 - i]) & QXL_PIXEL_MASK))
		i++;
	return i;
}

/* Whether all have one colour. */
bool qxl_pixels_are(const u32 *pixels, u32 count, u32 colour)
{
	u64 two = (u64)colour << 32 | colour;

	for (; count >= 2; count -= 2, pixels += 2)
		if ((get_unaligned((const u64 *)pixels) ^ two) & QXL_PIXELS_MASK)
			return false;
	return !count || !((*pixels ^ colour) & QXL_PIXEL_MASK);
}

static void qxl_pixels_copy_two(u32 *to, u32 *also, const u32 *from)
{
	u64 two = READ_ONCE(*(const u64 *)from);

	put_unaligned(two, (u64 *)to);
	put_unaligned(two, (u64 *)also);
}

/* To two places at once, of which one may be missing. */
void qxl_pixels_copy(u32 *to, u32 *also, const u32 *from, u32 count)
{
	if (!also) {
		memcpy(to, from, count * sizeof(u32));
		return;
	}
	if (count && !IS_ALIGNED((unsigned long)from, sizeof(u64))) {
		*to++ = *also++ = READ_ONCE(*from);
		from++;
		count--;
	}
	for (; count >= 8; count -= 8, to += 8, also += 8, from += 8) {
		qxl_pixels_copy_two(to, also, from);
		qxl_pixels_copy_two(to + 2, also + 2, from + 2);
		qxl_pixels_copy_two(to + 4, also + 4, from + 4);
		qxl_pixels_copy_two(to + 6, also + 6, from + 6);
	}
	for (; count; count--)
		*to++ = *also++ = READ_ONCE(*from++);
}
