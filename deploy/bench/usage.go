package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every Linux
// that Go runs on.
const clockTick = 10 * time.Millisecond

// usage is the processor time that a target has used since it was started.
type usage struct{ own, db time.Duration }

// proc is one process as /proc shows it.
type proc struct {
	pid, parent int
	cpu         time.Duration // its own and that of children it has waited for
}

// readProc reads /proc/PID/stat (proc_pid_stat(5)).
func readProc(root string, pid int) (proc, error) {
	data, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "stat"))
	if err != nil {
		return proc{}, err
	}
	// The name in parentheses may hold blanks and parentheses; what follows does not.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 15 {
		return proc{}, fmt.Errorf("process %d: %d fields in stat", pid, len(fields))
	}
	p := proc{pid: pid}
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return proc{}, err
	}
	for _, ticks := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return proc{}, err
		}
		p.cpu += time.Duration(n) * clockTick
	}
	return p, nil
}

// family gives a process and all its descendants that live now.
func family(root string, pid int) []proc {
	head, err := readProc(root, pid)
	if err != nil {
		return nil
	}
	entries, _ := os.ReadDir(root) // an unreadable /proc leaves the head alone
	children := map[int][]proc{}
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, err := readProc(root, id); err == nil { // else it ended meanwhile
			children[p.parent] = append(children[p.parent], p)
		}
	}
	list := []proc{head}
	for i := 0; i < len(list); i++ {
		list = append(list, children[list[i].pid]...)
	}
	return list
}

// cpuOf sums the processor time of the processes and their descendants. Those
// that ended count once their parent has waited for them.
func cpuOf(root string, pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		for _, p := range family(root, pid) {
			sum += p.cpu
		}
	}
	return sum
}

// peakOf gives the peak of resident memory in octets: the sum of the peaks of the
// processes and their living descendants. Memory that they share counts once per
// family, as large as the one that uses most of it has it now.
func peakOf(root string, pids []int) int64 {
	var sum int64
	for _, pid := range pids {
		var shared int64
		for _, p := range family(root, pid) {
			status := readStatus(root, p.pid)
			sum += status["VmHWM"] - status["RssShmem"]
			shared = max(shared, status["RssShmem"])
		}
		sum += shared
	}
	return sum
}

// readStatus gives the sizes of /proc/PID/status in octets.
func readStatus(root string, pid int) map[string]int64 {
	data, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "status"))
	if err != nil {
		return nil
	}
	sizes := map[string]int64{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		if n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64); err == nil {
			sizes[name] = n << 10
		}
	}
	return sizes
}
