# shellcheck shell=sh
vmm --seconds 1.5 --machines 1 --vcpus 2 --features yes --life 0 --pause 0 --activity sign,write,mmio,hvc &
vmm --seconds 1.5 --machines 1 --vcpus 1 --features no --life 0 --pause 0 --activity sign,write,mmio,hvc
wait
