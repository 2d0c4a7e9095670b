// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Pictures that were sent before, so that a client that has kept one needs not be sent it again. A picture is known by
 * a keyed hash of 128 bits, and the device by a number of 32 bits that always means the same pixels: what has the hash
 * of a picture is compared with it, pixel by pixel, before it gets its number.
 *
 * A picture is kept, and has a number, from the second time on, since most are never seen again. What changes all the
 * time, like video, is not looked at.
 */
#include <drm/drm_managed.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/random.h>

#include "qxl.h"

#define QXL_CACHE_SETS		64
#define QXL_CACHE_WAYS		8
/* Of pixels that are kept, in all. */
#define QXL_CACHE_BYTES		(16u << 20)
/* Of one picture: smaller ones cost less than they are remembered for, larger ones would be all there is. */
#define QXL_CACHE_LEAST		256
#define QXL_CACHE_MOST		(4u << 20)
/* Smaller ones have places of their own: there are many, as of letters that are typed, and few of the others. */
#define QXL_CACHE_LARGE		4096
/* The places that were drawn last, and how soon one that is drawn again changes all the time. */
#define QXL_CACHE_PLACES	8
#define QXL_CACHE_REST		(HZ / 2)

struct qxl_known {
	/* Of its last use; 0: nothing is known here. */
	u64 used;
	u64 hash[2];
	u32 width;
	u32 height;
	/* With the pixels. */
	u32 number;
	void *pixels;
};

struct qxl_place {
	unsigned long when;
	unsigned int head;
	struct drm_rect rect;
};

struct qxl_cache {
	u64 seeds[2];
	u64 keys[2];
	u64 uses;
	/* The last one that was given; when they have all been given there are no more. */
	u32 number;
	size_t bytes;
	/* The sets of the small ones and those of the large ones. */
	struct qxl_known known[2 * QXL_CACHE_SETS * QXL_CACHE_WAYS];
	struct qxl_place places[QXL_CACHE_PLACES];
	u32 next_place;
};

static size_t qxl_known_bytes(const struct qxl_known *known)
{
	return (size_t)known->width * known->height * sizeof(u32);
}

static void qxl_known_forget(struct qxl_cache *cache, struct qxl_known *known)
{
	if (known->pixels)
		cache->bytes -= qxl_known_bytes(known);
	kvfree(known->pixels);
	*known = (struct qxl_known){};
}

/* Notes that a place is drawn; whether it was drawn a moment ago as well. */
static bool qxl_cache_is_busy(struct qxl_cache *cache, unsigned int head, const struct drm_rect *rect)
{
	struct qxl_place *place;
	bool is_busy;
	u32 i;

	for (i = 0; i < QXL_CACHE_PLACES; i++) {
		place = &cache->places[i];
		if (place->head != head || !drm_rect_equals(&place->rect, rect))
			continue;
		is_busy = time_before(jiffies, place->when + QXL_CACHE_REST);
		place->when = jiffies;
		return is_busy;
	}
	place = &cache->places[cache->next_place++ % QXL_CACHE_PLACES];
	*place = (struct qxl_place){ .when = jiffies, .head = head, .rect = *rect };
	return false;
}

/* Makes room for the pixels of one picture more. */
static void qxl_cache_shrink(struct qxl_cache *cache, size_t bytes)
{
	while (cache->bytes && cache->bytes + bytes > QXL_CACHE_BYTES) {
		struct qxl_known *oldest = NULL;
		u32 i;

		for (i = 0; i < ARRAY_SIZE(cache->known); i++) {
			struct qxl_known *known = &cache->known[i];

			if (known->pixels && (!oldest || known->used < oldest->used))
				oldest = known;
		}
		/* There is one, since there are bytes. */
		if (WARN_ON_ONCE(!oldest))
			return;
		qxl_known_forget(cache, oldest);
	}
}

/* It is seen for the second time. */
static u32 qxl_cache_keep(struct qxl_cache *cache, struct qxl_known *known, const void *pixels)
{
	size_t bytes = qxl_known_bytes(known);

	if (cache->number == U32_MAX)
		return 0;
	qxl_cache_shrink(cache, bytes);
	known->pixels = kvmalloc(bytes, GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY);
	if (!known->pixels)
		return 0;
	memcpy(known->pixels, pixels, bytes);
	cache->bytes += bytes;
	known->number = ++cache->number;
	return known->number;
}

/* Begins two numbers that nobody can foresee. */
static void qxl_cache_hash_begin(const struct qxl_cache *cache, u64 *hash)
{
	hash[0] = cache->seeds[0];
	hash[1] = cache->seeds[1];
}

static void qxl_cache_hash_more(const struct qxl_cache *cache, u64 part, u64 *hash)
{
	hash[0] = qxl_hash_mix(hash[0] ^ part, cache->keys[0]);
	hash[1] = qxl_hash_mix(hash[1] ^ part, cache->keys[1]);
}

/* Of a small picture, by its pixels; it may begin and end anywhere. */
static void qxl_cache_hash_pixels(const struct qxl *qxl, const u32 *pixels, u32 count, u64 *hash)
{
	u32 padded[QXL_SEGMENT] = {};

	qxl_cache_hash_begin(qxl->cache, hash);
	for (; count >= QXL_SEGMENT; count -= QXL_SEGMENT, pixels += QXL_SEGMENT)
		qxl_cache_hash_more(qxl->cache, qxl_hash(&qxl->hash_key, pixels), hash);
	memcpy(padded, pixels, count * sizeof(u32));
	qxl_cache_hash_more(qxl->cache, qxl_hash(&qxl->hash_key, padded), hash);
}

/* Of a large one, by what is known of the place where it is drawn. */
static void qxl_cache_hash_shown(const struct qxl_cache *cache, const struct qxl_head *head,
				 const struct drm_rect *rect, u64 *hash)
{
	u32 first = rect->x1 / QXL_SEGMENT, end = DIV_ROUND_UP(rect->x2, QXL_SEGMENT), i;
	s32 y;

	qxl_cache_hash_begin(cache, hash);
	for (y = rect->y1; y < rect->y2; y++)
		for (i = first; i < end; i++)
			qxl_cache_hash_more(cache, *qxl_shown_at(head, i, y), hash);
}

/* The number of a picture that is drawn at `rect` of a head, or 0 for one without. */
u32 qxl_cache_number(struct qxl *qxl, const struct qxl_head *head, const struct drm_rect *rect, const void *pixels)
{
	struct qxl_cache *cache = qxl->cache;
	u32 width = drm_rect_width(rect), height = drm_rect_height(rect);
	size_t bytes = (size_t)width * height * sizeof(u32);
	struct qxl_known *set, *known, *oldest;
	u64 hash[2];

	if (bytes < QXL_CACHE_LEAST || bytes > QXL_CACHE_MOST || !qxl_shown_is_known(qxl, head) ||
	    qxl_cache_is_busy(cache, head->index, rect))
		return 0;
	if (bytes < QXL_CACHE_LARGE) {
		qxl_cache_hash_pixels(qxl, pixels, width * height, hash);
		set = cache->known;
	} else {
		qxl_cache_hash_shown(cache, head, rect, hash);
		set = cache->known + QXL_CACHE_SETS * QXL_CACHE_WAYS;
	}
	set += hash[0] % QXL_CACHE_SETS * QXL_CACHE_WAYS;
	oldest = set;
	for (known = set; known < set + QXL_CACHE_WAYS; known++) {
		if (known->used < oldest->used)
			oldest = known;
		if (!known->used || memcmp(known->hash, hash, sizeof(hash)) || known->width != width ||
		    known->height != height)
			continue;
		known->used = ++cache->uses;
		if (!known->pixels)
			return qxl_cache_keep(cache, known, pixels);
		if (memcmp(known->pixels, pixels, bytes))
			return 0;
		qxl->counters.pictures_again++;
		return known->number;
	}
	qxl_known_forget(cache, oldest);
	*oldest = (struct qxl_known){
		.used = ++cache->uses,
		.hash = { hash[0], hash[1] },
		.width = width,
		.height = height,
	};
	return 0;
}

static void qxl_cache_free(struct drm_device *drm, void *memory)
{
	struct qxl_cache *cache = memory;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cache->known); i++)
		kvfree(cache->known[i].pixels);
	kvfree(cache);
}

int qxl_cache_init(struct qxl *qxl)
{
	struct qxl_cache *cache = kvzalloc(sizeof(*cache), GFP_KERNEL);

	if (!cache)
		return -ENOMEM;
	get_random_bytes(cache->seeds, sizeof(cache->seeds));
	get_random_bytes(cache->keys, sizeof(cache->keys));
	/* Others have given numbers before: another system, or this driver when it was bound the last time. */
	cache->number = get_random_u32() / 2;
	qxl->cache = cache;
	return drmm_add_action_or_reset(&qxl->drm, qxl_cache_free, cache);
}
