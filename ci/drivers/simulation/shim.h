/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * As much of the kernel, in a program, as the part of the QXL driver needs that decides what is sent. What is only
 * named by it has no content here.
 */
#ifndef SHIM_H
#define SHIM_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
typedef u16 __le16;
typedef u32 __le32;
typedef u64 __le64;
typedef u64 resource_size_t;
typedef int irqreturn_t;
typedef struct { int counter; } atomic_t;

#define CONFIG_ARCH_SUPPORTS_INT128
#define __packed		__attribute__((packed))
#define __iomem
#define __force
#define static_assert		_Static_assert
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define SZ_512K			0x80000
#define BIT(n)			(1ul << (n))
#define U32_MAX			UINT32_MAX
#define U8_MAX			UINT8_MAX
#define READ_ONCE(value)	(*(const volatile __typeof__(value) *)&(value))
#define WRITE_ONCE(value, new)	(*(volatile __typeof__(value) *)&(value) = (new))
#define min(a, b)		({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b)		({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp(value, low, high)	min(max(value, low), high)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define round_up(n, to)		((((n) - 1) | ((__typeof__(n))(to) - 1)) + 1)
#define round_down(n, to)	((n) & ~((__typeof__(n))(to) - 1))
#define IS_ALIGNED(n, to)	(((n) & ((__typeof__(n))(to) - 1)) == 0)
#define WARN_ON_ONCE(condition)	((condition) ? (abort(), true) : false)

#define cpu_to_le16(n)		htole16(n)
#define cpu_to_le32(n)		htole32(n)
#define cpu_to_le64(n)		htole64(n)
#define le16_to_cpu(n)		le16toh(n)
#define le32_to_cpu(n)		le32toh(n)
#define le64_to_cpu(n)		le64toh(n)
#define get_unaligned(pointer)	({ __typeof__(*(pointer) + 0) value_; memcpy(&value_, pointer, sizeof(value_)); value_; })
#define put_unaligned(value, pointer) \
	({ __typeof__(*(pointer)) value_ = (value); memcpy(pointer, &value_, sizeof(value_)); })

/* Bitmaps. */
#define BITS_PER_LONG		64
#define BITS_TO_LONGS(bits)	DIV_ROUND_UP(bits, BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

static inline bool test_bit(u32 bit, const unsigned long *bits)
{
	return bits[bit / BITS_PER_LONG] >> bit % BITS_PER_LONG & 1;
}

static inline void __set_bit(u32 bit, unsigned long *bits)
{
	bits[bit / BITS_PER_LONG] |= BIT(bit % BITS_PER_LONG);
}

static inline void __clear_bit(u32 bit, unsigned long *bits)
{
	bits[bit / BITS_PER_LONG] &= ~BIT(bit % BITS_PER_LONG);
}

static inline void bitmap_set(unsigned long *bits, u32 first, u32 count)
{
	for (; count; count--)
		__set_bit(first++, bits);
}

static inline void bitmap_clear(unsigned long *bits, u32 first, u32 count)
{
	for (; count; count--)
		__clear_bit(first++, bits);
}

static inline void bitmap_zero(unsigned long *bits, u32 size)
{
	memset(bits, 0, BITS_TO_LONGS(size) * sizeof(long));
}

static inline void bitmap_andnot(unsigned long *to, const unsigned long *some, const unsigned long *others, u32 size)
{
	for (u32 i = 0; i < BITS_TO_LONGS(size); i++)
		to[i] = some[i] & ~others[i];
}

static inline u32 bitmap_weight(const unsigned long *bits, u32 size)
{
	u32 count = 0;

	for (u32 i = 0; i < BITS_TO_LONGS(size); i++)
		count += __builtin_popcountl(bits[i]);
	return count;
}

static inline u32 find_next_of(const unsigned long *bits, u32 size, u32 from, bool is_set)
{
	while (from < size && test_bit(from, bits) != is_set)
		from++;
	return from;
}

#define find_next_bit(bits, size, from)		find_next_of(bits, size, from, true)
#define find_next_zero_bit(bits, size, from)	find_next_of(bits, size, from, false)
#define find_first_bit(bits, size)		find_next_of(bits, size, 0, true)
#define bitmap_empty(bits, size)		(find_first_bit(bits, size) == (size))

static inline u32 find_last_bit(const unsigned long *bits, u32 size)
{
	u32 bit = size;

	while (bit && !test_bit(bit - 1, bits))
		bit--;
	return bit ? bit - 1 : size;
}

#define for_each_set_bit(bit, bits, size) \
	for ((bit) = find_first_bit(bits, size); (bit) < (size); (bit) = find_next_bit(bits, size, (bit) + 1))
#define for_each_set_bitrange(first, end, bits, size) \
	for ((first) = find_first_bit(bits, size), (end) = find_next_zero_bit(bits, size, first); (first) < (size); \
	     (first) = find_next_bit(bits, size, end), (end) = find_next_zero_bit(bits, size, first))

/* Memory. */
#define GFP_KERNEL		0
#define __GFP_NOWARN		0
#define __GFP_NORETRY		0
#define kvzalloc(bytes, flags)	calloc(1, bytes)
#define kvmalloc(bytes, flags)	malloc(bytes)
#define kvmalloc_array(count, bytes, flags) malloc((size_t)(count) * (bytes))
#define kvfree(memory)		free(memory)
#define drmm_kzalloc(drm, bytes, flags)	calloc(1, bytes)
#define drmm_kcalloc(drm, count, bytes, flags) calloc(count, bytes)
#define drmm_add_action_or_reset(drm, action, data) ((void)(action), 0)

static inline void memset32(u32 *to, u32 value, size_t count)
{
	while (count--)
		*to++ = value;
}

static inline void memset64(u64 *to, u64 value, size_t count)
{
	while (count--)
		*to++ = value;
}

/* Of the simulation, so that it can be repeated. */
void get_random_bytes(void *to, size_t bytes);

static inline u32 get_random_u32(void)
{
	u32 number;

	get_random_bytes(&number, sizeof(number));
	return number;
}

/* Time stands still: what depends on it is up to the simulation. */
#define HZ			250ul
extern unsigned long jiffies;
#define time_before(a, b)	((long)((a) - (b)) < 0)
#define time_after_eq(a, b)	((long)((a) - (b)) >= 0)
struct delayed_work { int none; };
#define delayed_work_pending(work) ((void)(work), true)
#define queue_delayed_work(queue, work, delay) ((void)(delay))

struct mutex { int none; };
struct completion { int none; };
struct work_struct { int none; };
struct workqueue_struct;
struct ratelimit_state { int none; };
#define lockdep_assert_held(lock)	((void)(lock))
#define module_param(name, type, mode)	_Static_assert(1, "")
#define MODULE_PARM_DESC(name, text)	_Static_assert(1, "")

/* What the display driver has to do with. */
#define DRM_FORMAT_MAX_PLANES	4
#define DMA_FROM_DEVICE		0
struct drm_device { int none; };
struct drm_plane { int none; };
struct drm_crtc { int none; };
struct drm_encoder { int none; };
struct drm_connector { int none; };
struct drm_property;
struct drm_minor;
struct drm_atomic_state;
struct drm_framebuffer { u32 pitches[DRM_FORMAT_MAX_PLANES]; };
struct drm_rect { int x1, y1, x2, y2; };
struct iosys_map { bool is_iomem; void *vaddr; };

#define DRM_RECT_INIT(x, y, width, height) \
	((struct drm_rect){ (x), (y), (x) + (int)(width), (y) + (int)(height) })
#define drm_gem_fb_begin_cpu_access(fb, direction)	0
#define drm_gem_fb_end_cpu_access(fb, direction)	((void)(fb))

static inline int drm_rect_width(const struct drm_rect *rect)
{
	return rect->x2 - rect->x1;
}

static inline int drm_rect_height(const struct drm_rect *rect)
{
	return rect->y2 - rect->y1;
}

static inline bool drm_rect_visible(const struct drm_rect *rect)
{
	return drm_rect_width(rect) > 0 && drm_rect_height(rect) > 0;
}

static inline bool drm_rect_equals(const struct drm_rect *some, const struct drm_rect *others)
{
	return !memcmp(some, others, sizeof(*some));
}

static inline bool drm_rect_intersect(struct drm_rect *rect, const struct drm_rect *other)
{
	rect->x1 = max(rect->x1, other->x1);
	rect->y1 = max(rect->y1, other->y1);
	rect->x2 = min(rect->x2, other->x2);
	rect->y2 = min(rect->y2, other->y2);
	return drm_rect_visible(rect);
}

static inline void iosys_map_memcpy_from(void *to, const struct iosys_map *map, size_t offset, size_t bytes)
{
	memcpy(to, (const char *)map->vaddr + offset, bytes);
}

#endif
