// Package gateway is the daemon: it reads the configuration, opens the store,
// wires intake, threading, sending and the HTTP faces together, and ends them
// in order. The commands of the shell use the same parts beside a running
// daemon.
package gateway
