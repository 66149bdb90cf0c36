/* SPDX-License-Identifier: MIT */
#include "rfc3339.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define TIME_MAX INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

/* The value of n decimal digits, or -1. strtol would take signs and spaces. */
static int digits(const char *s, size_t n)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

static bool is_leap(int y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Leap years from year 1 to y. */
static int leaps(int y)
{
	return y / 4 - y / 100 + y / 400;
}

static int64_t days_since_1970(int y, int m, int d)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};

	return 365 * (int64_t)(y - 1970) + leaps(y - 1) - leaps(1969) + before[m - 1] + (m > 2 && is_leap(y)) + d - 1;
}

static int days_in_month(int y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

/* "Z" or "±hh:mm", as seconds east of UTC. */
static int parse_zone(const char *s, size_t len, int *ret)
{
	if (len == 1 && s[0] == 'Z') {
		*ret = 0;
		return 0;
	}
	if (len != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':')
		return -EINVAL;
	int h = digits(s + 1, 2), m = digits(s + 4, 2);
	if (h < 0 || h > 23 || m < 0 || m > 59)
		return -EINVAL;
	if (s[0] == '-' && h == 0 && m == 0)
		return -EINVAL; /* RFC 3339: "the local offset is unknown" */
	*ret = (s[0] == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return 0;
}

int rfc3339_parse(const char *s, size_t len, int64_t *sec, uint32_t *nsec)
{
	if (len < RFC3339_LEN || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':')
		return -EINVAL;

	int year = digits(s, 4), month = digits(s + 5, 2), day = digits(s + 8, 2);
	int hour = digits(s + 11, 2), min = digits(s + 14, 2), second = digits(s + 17, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return -EINVAL;
	if (hour < 0 || hour > 23 || min < 0 || min > 59 || second < 0 || second > 59)
		return -EINVAL;

	size_t at = 19;
	uint32_t frac = 0;
	if (s[at] == '.') {
		uint32_t unit = 100000000;
		size_t first = ++at;
		for (; at < len && s[at] >= '0' && s[at] <= '9'; at++, unit /= 10) {
			if (at - first == 9)
				return -EINVAL;
			frac += (uint32_t)(s[at] - '0') * unit;
		}
		if (at == first)
			return -EINVAL;
	}

	int east;
	if (parse_zone(s + at, len - at, &east))
		return -EINVAL;
	int64_t t = days_since_1970(year, month, day) * 86400 + hour * 3600 + min * 60 + second - east;
	if (t < 0 || t > TIME_MAX)
		return -EINVAL;
	*sec = t;
	*nsec = frac;
	return 0;
}

int rfc3339_format(int64_t t, char text[static RFC3339_LEN + 1])
{
	time_t when = t;
	struct tm tm;

	if (t < 0 || t > TIME_MAX || !gmtime_r(&when, &tm))
		return -EINVAL;
	return strftime(text, RFC3339_LEN + 1, "%Y-%m-%dT%H:%M:%SZ", &tm) == RFC3339_LEN ? 0 : -EINVAL;
}
