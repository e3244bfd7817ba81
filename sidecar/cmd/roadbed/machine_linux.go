package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// freeBytes is what is free for this user on the disk of a folder.
func freeBytes(dir string) (uint64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, err
	}
	return disk.Bavail * uint64(disk.Bsize), nil
}

// memoryBytes is the memory of this machine, or of this container when that has less.
func memoryBytes() (uint64, error) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0, err
	}
	all := uint64(info.Totalram) * uint64(info.Unit)
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if most, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil { // else it is max
			all = min(all, most)
		}
	}
	return all, nil
}
