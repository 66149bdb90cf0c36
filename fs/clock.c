/* SPDX-License-Identifier: MIT */
#include "clock.h"

int64_t clock_look(struct clock_watch *c, int64_t wall, int64_t boot)
{
	int64_t offset = wall - boot, off = offset - c->offset, slew = (boot - c->boot) / 100;
	bool jumped = c->begun && (off > CLOCK_SLACK || off < -CLOCK_SLACK);
	if (!c->begun || jumped)
		c->offset = offset;
	else
		c->offset += off > slew ? slew : off < -slew ? -slew : off;
	if (jumped)
		c->until = boot + CLOCK_HOLD;
	c->begun = true;
	c->boot = boot;
	return jumped ? off : 0;
}

bool clock_held(const struct clock_watch *c, int64_t boot)
{
	return boot < c->until;
}
