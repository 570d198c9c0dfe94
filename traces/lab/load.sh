vmm 1.5 2 &
vmm 1.5 1 nofeature
wait
