# Prints the pairs "A OP B" with which compareVersion disagrees.
input <- file("stdin")
for (line in readLines(input)) {
  f <- strsplit(line, " ")[[1]]
  if (compareVersion(f[1], f[3]) != if (f[2] == "<") -1 else 0) cat(line, "\n")
}
close(input)
