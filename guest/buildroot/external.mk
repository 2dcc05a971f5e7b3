# SPDX-License-Identifier: BSD-2-Clause
# Two things that a defconfig cannot say. Buildroot reads this file after its own packages and
# expands the variables below when it configures them.

# The base of both configurations is allnoconfig: what no fragment turns on is off. The kernel's
# common lines go in with it, because an option that they open (COMPILE_TEST) would otherwise bring
# the defaults of the options behind it.
LINUX_KCONFIG_DEFCONFIG = KCONFIG_ALLCONFIG=$(BR2_EXTERNAL_VMM_GUEST_PATH)/kernel/common.config allnoconfig
BUSYBOX_KCONFIG_DEFCONFIG = allnoconfig

# Both finished configurations are held against the fragments: a build whose kernel has a driver
# too many, or whose user land lacks a program, fails here.
VMM_GUEST_BOARD = $(patsubst %_defconfig,%,$(notdir $(call qstrip,$(BR2_DEFCONFIG))))

define VMM_GUEST_CHECK_OPTIONS
	$(BR2_EXTERNAL_VMM_GUEST_PATH)/check-options --board $(VMM_GUEST_BOARD) \
		--config $(@D)/.config --source $(@D) $($(PKG)_KCONFIG_FRAGMENT_FILES)
endef
LINUX_POST_CONFIGURE_HOOKS += VMM_GUEST_CHECK_OPTIONS
BUSYBOX_POST_CONFIGURE_HOOKS += VMM_GUEST_CHECK_OPTIONS
