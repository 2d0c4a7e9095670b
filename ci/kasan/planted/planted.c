// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Faults on purpose, one for each loading: what is named in `fault`. The kernel is to say so in its log.
 *
 *	use-after-free	reads memory that was freed
 *	sleep		sleeps where nothing may
 *	leak		forgets memory
 *	deadlock	takes two locks in one order and in the other
 */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#define PLANTED_BYTES	128
/* The last one may still be in a register or on a stack that is looked through. */
#define PLANTED_LEAKS	16

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "use-after-free, sleep, leak or deadlock");

static DEFINE_MUTEX(planted_one);
static DEFINE_MUTEX(planted_other);
static DEFINE_SPINLOCK(planted_spin);

static int planted_use_after_free(void)
{
	u8 *bytes = kzalloc(PLANTED_BYTES, GFP_KERNEL);

	if (!bytes)
		return -ENOMEM;
	kfree(bytes);
	/* The compiler would notice. */
	OPTIMIZER_HIDE_VAR(bytes);
	pr_info("what was freed has %u\n", READ_ONCE(bytes[PLANTED_BYTES / 2]));
	return 0;
}

static int planted_sleep(void)
{
	spin_lock(&planted_spin);
	might_sleep();
	spin_unlock(&planted_spin);
	return 0;
}

static int planted_leak(void)
{
	unsigned int i;

	for (i = 0; i < PLANTED_LEAKS; i++) {
		u8 *bytes = kzalloc(PLANTED_BYTES, GFP_KERNEL);

		if (!bytes)
			return -ENOMEM;
		OPTIMIZER_HIDE_VAR(bytes);
	}
	return 0;
}

static int planted_deadlock(void)
{
	mutex_lock(&planted_one);
	mutex_lock(&planted_other);
	mutex_unlock(&planted_other);
	mutex_unlock(&planted_one);
	mutex_lock(&planted_other);
	mutex_lock(&planted_one);
	mutex_unlock(&planted_one);
	mutex_unlock(&planted_other);
	return 0;
}

static int __init planted_init(void)
{
	if (!strcmp(fault, "use-after-free"))
		return planted_use_after_free();
	if (!strcmp(fault, "sleep"))
		return planted_sleep();
	if (!strcmp(fault, "leak"))
		return planted_leak();
	if (!strcmp(fault, "deadlock"))
		return planted_deadlock();
	return -EINVAL;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_DESCRIPTION("Faults on purpose");
MODULE_LICENSE("Dual MIT/GPL");
