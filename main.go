// Oriel is a vulnerability server for one machine.
package main

func main() {}
