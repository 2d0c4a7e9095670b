// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Gives back the interrupt handler that Debian's qxl.ko leaves behind.
 *
 * qxl.ko of Linux 5.15 and later asks for its interrupt with request_irq() and never calls free_irq(), although what
 * the handler uses goes when the driver is unloaded. After that the first interrupt of the line runs the old handler on
 * freed memory. Whether loading the driver again works then depends on where the allocator puts its second device.
 *
 * Loaded while qxl is there, with the number of its interrupt in `irq`, this notes the handlers of that name. Unloaded
 * after qxl, it frees them. Nobody may have freed them meanwhile: it is for one order of commands,
 *
 *	insmod free_leaked_irq.ko irq=N; rmmod qxl; rmmod free_leaked_irq
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/module.h>
#include <linux/string.h>

/* One for each QXL device that shares the line. */
#define MAX_HANDLERS 4

static unsigned int irq;
module_param(irq, uint, 0444);
MODULE_PARM_DESC(irq, "interrupt whose handlers called \"qxl\" are freed on unloading");

static void *handlers[MAX_HANDLERS];
static unsigned int count;

static int __init note_handlers(void)
{
	struct irq_data *data = irq_get_irq_data(irq);
	struct irqaction *action;

	if (!data) {
		pr_err("no interrupt %u\n", irq);
		return -ENOENT;
	}
	/* The name lies in qxl's memory, so it is looked at now. Nothing requests or frees interrupts meanwhile. */
	for (action = irq_data_to_desc(data)->action; action; action = action->next) {
		if (strcmp(action->name, "qxl"))
			continue;
		if (count == MAX_HANDLERS)
			return -E2BIG;
		handlers[count++] = action->dev_id;
	}
	if (!count) {
		pr_err("qxl has no handler on interrupt %u\n", irq);
		return -ENOENT;
	}
	return 0;
}

static void __exit free_handlers(void)
{
	while (count)
		free_irq(irq, handlers[--count]);
}

module_init(note_handlers);
module_exit(free_handlers);
MODULE_DESCRIPTION("Frees the interrupt handlers that qxl leaves behind");
MODULE_LICENSE("Dual MIT/GPL");
