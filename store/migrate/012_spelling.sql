-- Names have their ecosystem's one spelling in vuln_row and package, and the
-- index of manifests has the records of their reports. SQL cannot spell names
-- and unpack reports: respelling in respell.go does, in short transactions,
-- before this step completes it.
DROP TABLE respelling;
