// SPDX-License-Identifier: GPL-2.0
#include <linux/debugfs.h>

struct dentry *rust_helper_debugfs_create_dir(const char *name, struct dentry *parent)
{
	return debugfs_create_dir(name, parent);
}

struct dentry *rust_helper_debugfs_create_file_unsafe(const char *name, umode_t mode,
						      struct dentry *parent, void *data,
						      const struct file_operations *fops)
{
	return debugfs_create_file_unsafe(name, mode, parent, data, fops);
}

void rust_helper_debugfs_remove(struct dentry *dentry)
{
	debugfs_remove(dentry);
}

int rust_helper_debugfs_file_get(struct dentry *dentry)
{
	return debugfs_file_get(dentry);
}

void rust_helper_debugfs_file_put(struct dentry *dentry)
{
	debugfs_file_put(dentry);
}
