// SPDX-License-Identifier: GPL-2.0
/*
 * A qemu plugin that counts each instruction of the guest between two marks,
 * by translation block. spans_gen sets the marks; scripts/bench.sh sums the
 * blocks by function.
 *
 * It does not sample, so code with interrupts off is counted, too, and the
 * guest is not affected. Debian does not package the plugin header: the
 * declarations used are repeated here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*trans_cb)(unsigned long id, struct qemu_plugin_tb *tb);
typedef void (*exec_cb)(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(unsigned long id, trans_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb,
					  int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    exec_cb cb, int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
unsigned long qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t index);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *data,
			     size_t len);

/* From qemu-plugin.h of trixie's qemu 10.0. */
__attribute__((visibility("default"))) int qemu_plugin_version = 4;

struct block {
	struct block *next;
	unsigned long address, insns, runs;
};

static struct block *blocks;
static bool counting;
static unsigned long mark;
static const char *path;

static void run(unsigned int cpu, void *data)
{
	struct block *block = data;

	if (counting)
		block->runs++;
}

static void begin(unsigned int cpu, void *data)
{
	struct block *block;

	for (block = blocks; block; block = block->next)
		block->runs = 0;
	counting = true;
}

/* ADDRESS INSTRUCTIONS RUNS of the last section that ended. */
static void end(unsigned int cpu, void *data)
{
	struct block *block;
	FILE *file;

	counting = false;
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		exit(1);
	}
	/* The page of spans_gen, which is unloaded when symbols are read. */
	fprintf(file, "%016lx # spans_gen\n", (mark & ~0xffful));
	for (block = blocks; block; block = block->next)
		if (block->runs)
			fprintf(file, "%016lx %lu %lu\n",
				block->address,
				block->insns * block->runs,
				block->runs);
	fclose(file);
}

static void translated(unsigned long id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct block *block = malloc(sizeof(*block));
	unsigned char code[3];

	if (!block)
		abort();
	*block = (struct block){ blocks, qemu_plugin_tb_vaddr(tb), n, 0 };
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, run, 0, block);
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (qemu_plugin_insn_data(insn, code, 3) != 3)
			continue;
		/* xchg %bx,%bx and xchg %cx,%cx, which no compiler emits */
		if (!memcmp(code, "\x66\x87\xdb", 3)) {
			mark = qemu_plugin_tb_vaddr(tb);
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, 0, NULL);
		}
		if (!memcmp(code, "\x66\x87\xc9", 3))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, 0, NULL);
	}
}

__attribute__((visibility("default")))
int qemu_plugin_install(unsigned long id, const void *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fputs("profile: the only argument is out=FILE\n", stderr);
		return 1;
	}
	path = strdup(argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
